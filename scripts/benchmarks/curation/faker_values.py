"""Personal data by Faker for the generated records; runs in a venv of its own: `python faker_values.py OUT COUNT SEED`.

Faker knows nothing of our patterns and the patterns were not tuned on these locales' output; each line of the file is
one value with its type and locale. A value comes with nothing around it: the sentences are `feedback_records`'.
"""

import json
import sys
from pathlib import Path

from faker import Faker

LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "sv_SE", "pt_BR")
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
    fakes = {locale: Faker(locale) for locale in LOCALES}
    Faker.seed(int(seed))
    lines = []
    for number in range(int(count)):
        locale = LOCALES[number % len(LOCALES)]
        kinds = (*TYPES, "ssn") if locale == "en_US" else TYPES
        kind = kinds[(number // len(LOCALES)) % len(kinds)]
        lines.append(json.dumps({"type": kind, "value": value(fakes[locale], kind), "locale": locale}))
    Path(out).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
