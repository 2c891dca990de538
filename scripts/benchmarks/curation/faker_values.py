"""Personal data by Faker for the generated records; runs in a venv of its own: `python faker_values.py OUT COUNT SEED`.

The locales are those that the patterns were never tuned on (`UNSEEN` of the privacy audit's `locales`; a test compares
the lists); US social security numbers are the exception, as they have one locale. Each line is one value with its
type and locale. A value comes with nothing around it: the sentences are `feedback_records`'.
"""

import json
import sys
from pathlib import Path

from faker import Faker

LOCALES = (
    "en_AU", "en_CA", "en_IE", "de_AT", "de_CH", "fr_BE", "fr_CH", "es_MX", "pt_PT", "da_DK", "fi_FI", "no_NO", "cs_CZ",
)  # fmt: skip
TYPES = ("email", "phone", "card", "iban", "ip")


def value(fake: Faker, kind: str) -> str:
    """One value of a type."""
    if kind == "email":
        return str(fake.email())
    if kind == "phone":
        return str(fake.phone_number())
    if kind == "card":
        return str(fake.credit_card_number())
    if kind == "iban":
        return str(fake.iban())
    if kind == "ip":
        return str(fake.ipv4_public())
    return str(fake.ssn())


def main(out: str, count: str, seed: str) -> None:
    """Write COUNT values as JSON lines of type, value and locale."""
    fakes = {locale: Faker(locale) for locale in (*LOCALES, "en_US")}
    Faker.seed(int(seed))
    lines = []
    for number in range(int(count)):
        locale = LOCALES[number % len(LOCALES)]
        kind = (*TYPES, "ssn")[(number // len(LOCALES)) % (len(TYPES) + 1)]
        locale = "en_US" if kind == "ssn" else locale
        lines.append(json.dumps({"type": kind, "value": value(fakes[locale], kind), "locale": locale}))
    Path(out).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
