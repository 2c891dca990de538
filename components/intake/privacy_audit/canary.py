"""A piece of made-up personal data that must not be found in the store."""

from dataclasses import dataclass

# Types of the audit, in the order of the report. What a recognizer calls it does not matter here.
TYPES = (
    "email",
    "phone_international",
    "phone_national",
    "card",
    "iban",
    "ipv4",
    "ipv6",
    "mac",
    "ssn",
    "national_id",
    "passport",
    "birth_date",
    "secret",
    "connection_string",
    "url_token",
    "street_address",
    "name_introduced",
    "name_mid_sentence",
)


@dataclass(frozen=True)
class Canary:
    """One value and the sentence that it stands in.

    Attributes:
        kind: One of TYPES.
        value: The personal data as written.
        sentence: Text that holds `value` once.
        locale: Where the format is from, as "de_AT"; "" when it is the same everywhere.
        whole_words: Words any one of which tells who it is (names); else empty.
    """

    kind: str
    value: str
    sentence: str
    locale: str = ""
    whole_words: tuple[str, ...] = ()
