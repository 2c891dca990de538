"""Canaries of the types that Faker makes, in the formats of its locales."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from flywheel.components.intake.privacy_audit.canary import Canary
from flywheel.components.intake.privacy_audit.sentences import sentence

_NEEDED = "address bank company credit_card date_time internet lorem misc passport person phone_number python ssn"
_PROVIDERS = [f"faker.providers.{name}" for name in _NEEDED.split()]
_SAME_EVERYWHERE = ("card", "ipv4", "ipv6", "mac")
_MONTH_FIRST = ("en_US", "en_CA")


class FakerCanaries:
    """Makes canaries; the same seed gives the same ones.

    Args:
        locales: Faker's names of locales.
        seed: Of all values.
    """

    def __init__(self, locales: tuple[str, ...], seed: int) -> None:
        from faker import Faker

        self._random = Random(f"faker canaries {seed}")
        self._fakers = {locale: Faker(locale, providers=_PROVIDERS) for locale in locales}
        for number, faker in enumerate(self._fakers.values()):
            faker.seed_instance(seed * 1000 + number)
        self._makers: dict[str, Callable[[Any, str], str]] = {
            "email": self._email,
            "phone_international": self._telephone,
            "phone_national": self._telephone,
            "card": self._card,
            "iban": lambda faker, locale: faker.iban(),
            "ipv4": lambda faker, locale: faker.ipv4(),
            "ipv6": lambda faker, locale: faker.ipv6(),
            "mac": lambda faker, locale: faker.mac_address(),
            "national_id": lambda faker, locale: faker.ssn(),
            "passport": lambda faker, locale: faker.passport_number(),
            "birth_date": self._birth_date,
            "street_address": lambda faker, locale: faker.street_address(),
            "name_introduced": lambda faker, locale: f"{faker.first_name()} {faker.last_name()}",
            "name_mid_sentence": lambda faker, locale: f"{faker.first_name()} {faker.last_name()}",
        }

    @property
    def kinds(self) -> tuple[str, ...]:
        """Types that it makes."""
        return tuple(self._makers)

    def make(self, kind: str, count: int) -> Iterator[Canary]:
        """Yield canaries of a type, the locales in turn."""
        locales = list(self._fakers)
        self._random.shuffle(locales)
        if kind in _SAME_EVERYWHERE:
            locales = locales[:1]
        tries, most = 0, 200 * len(locales) + 50 * count
        while count > 0:
            locale = locales[tries % len(locales)]
            tries += 1
            if tries > most:
                raise ValueError(f"Faker makes no {kind} in the locales {', '.join(locales)}")
            value = self._makers[kind](self._fakers[locale], locale)
            international = value.startswith(("+", "00", "(+"))
            if kind.startswith("phone") and international != (kind == "phone_international"):
                continue
            count -= 1
            text = sentence(kind, value, self._language(kind, locale), self._random)
            words = tuple(word for word in value.split() if len(word) > 2) if kind.startswith("name") else ()
            yield Canary(kind, value, text, "" if kind in _SAME_EVERYWHERE else locale, words)

    def _language(self, kind: str, locale: str) -> str:
        return (self._random.choice(list(self._fakers)) if kind in _SAME_EVERYWHERE else locale)[:2]

    def _email(self, faker: Any, locale: str) -> str:
        return self._random.choice((faker.email, faker.company_email, faker.ascii_safe_email))()

    def _telephone(self, faker: Any, locale: str) -> str:
        return faker.phone_number()

    def _card(self, faker: Any, locale: str) -> str:
        number = faker.credit_card_number()
        style = self._random.choice(("plain", "groups", "dashes"))
        if style == "plain" or len(number) != 16:
            return number
        return (" " if style == "groups" else "-").join(number[at : at + 4] for at in range(0, 16, 4))

    def _birth_date(self, faker: Any, locale: str) -> str:
        day = faker.date_of_birth(minimum_age=18, maximum_age=90)
        numeric = "%m/%d/%Y" if locale in _MONTH_FIRST else "%d/%m/%Y" if locale.startswith("en") else "%d.%m.%Y"
        forms = ["%Y-%m-%d", numeric]
        if locale.startswith("en"):
            forms += ["%d %B %Y", "%B %d, %Y", "%d %b %Y"]
        return day.strftime(self._random.choice(forms))
