"""Tokens that look like personal data and are none; what scrubbing replaces of them is over-scrubbing."""

import string
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random


@dataclass(frozen=True)
class Control:
    """One token and the sentence that it stands in.

    Attributes:
        kind: What it is.
        value: The token.
        sentence: Text that holds the token once.
    """

    kind: str
    value: str
    sentence: str


class Controls:
    """Makes controls; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"controls {seed}")
        self._makers: dict[str, Callable[[], tuple[str, str]]] = {
            "order_number": self._order,
            "version": self._version,
            "timestamp": self._timestamp,
            "price": self._price,
            "quantity": self._quantity,
            "code": self._code,
            "identifier": self._identifier,
            "ordinary_words": self._words,
        }

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it makes."""
        return tuple(self._makers)

    def make(self, kind: str, count: int) -> Iterator[Control]:
        """Yield controls of a kind."""
        for _ in range(count):
            value, frame = self._makers[kind]()
            yield Control(kind, value, frame.replace("{}", value))

    def _digits(self, length: int) -> str:
        return self._random.choice("123456789") + "".join(self._random.choices(string.digits, k=length - 1))

    def _order(self) -> tuple[str, str]:
        number = self._digits(self._random.choice((5, 6, 7, 8, 9)))
        value = self._random.choice((number, f"A-{number}", f"INV-{number}", f"#{number}"))
        return value, self._random.choice(
            (
                "Order {} is late.",
                "The invoice {} is wrong.",
                "ticket {}",
                "See case no. {} please.",
                "Bestellung {} fehlt.",
            )
        )

    def _version(self) -> tuple[str, str]:
        random = self._random
        parts = [str(random.randrange(40)) for _ in range(random.choice((2, 3)))]
        value = random.choice(("", "v")) + ".".join(parts) + random.choice(("", "", "-rc1", ".post2", "b3"))
        return value, random.choice(
            ("It broke with version {} of the app.", "Since {} it is slow.", "pip install tool=={}")
        )

    def _timestamp(self) -> tuple[str, str]:
        moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=self._random.randrange(220_000_000_000_000))
        forms = (
            "%Y-%m-%d",
            "%d.%m.%Y",
            "%m/%d/%Y",
            "%Y-%m-%dT%H:%M:%SZ",
            "%Y-%m-%dT%H:%M:%S.%f+00:00",
            "%H:%M:%S",
            "%d %b %Y at %H:%M",
            "%Y-%m-%d %H:%M:%S,123",
        )
        value = self._random.choice((moment.strftime(self._random.choice(forms)), str(int(moment.timestamp()))))
        return value, self._random.choice(("It happened on {} again.", "The log says {} there.", "Delivered: {}"))

    def _price(self) -> tuple[str, str]:
        amount = self._random.randrange(100, 9_999_999)
        whole, cents = divmod(amount, 100)
        value = self._random.choice(
            (
                f"${whole:,}.{cents:02}",
                f"{whole}.{cents:02} EUR",
                f"€ {whole}",
                f"{whole:,} dollars",
                f"£{whole}.{cents:02}",
            )
        )
        return value, self._random.choice(("I paid {} for it.", "The total is {} with tax.", "{} is too much."))

    def _quantity(self) -> tuple[str, str]:
        number = self._random.randrange(2, 50_000)
        unit = self._random.choice(("users", "rows", "km", "MB", "ms", "tokens", "people", "%", "days", "items"))
        return f"{number} {unit}", self._random.choice(
            ("It took {} in all.", "About {} were there.", "We have {} now.")
        )

    def _code(self) -> tuple[str, str]:
        number = self._random.randrange(1, 2048)
        return self._random.choice(
            (
                f"for i in range({number}): total += i * {number + 3}",
                f"x = f(a, b)[{number}:{number * 2}]",
                f"std::vector<int> v({number});",
                f"SELECT id, name FROM orders WHERE total > {number} LIMIT 20;",
                f"curl -sS https://example.org/docs/v2/page?lang=en&page={number}",
                f'{{"page": {number}, "items": [1, 2, 3], "done": true}}',
                f"git checkout {self._hexadecimal(40)}",
                f"/usr/lib/python3.11/site-packages/tool/file_{number}.py",
                f"def get_user_by_id(user_id: int = {number}) -> User:",
                f"ERROR [main] Worker-{number} exited with code 137 at 0x{self._hexadecimal(8)}",
            )
        ), "{}"

    def _hexadecimal(self, length: int) -> str:
        return "".join(self._random.choices("0123456789abcdef", k=length))

    def _identifier(self) -> tuple[str, str]:
        value = self._random.choice(
            (
                str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
                self._hexadecimal(64),
                f"ISBN 978-{self._random.randrange(10)}-{self._digits(2)}-{self._digits(6)}-1",
                f"SKU-{self._digits(5)}-XL",
                f"HTTP {self._random.randrange(400, 512)}",
                f"RFC {self._digits(4)}",
                f"CVE-20{self._digits(2)}-{self._digits(5)}",
            )
        )
        return value, self._random.choice(("The id {} is not found.", "see {}", "It refers to {} only."))

    def _words(self) -> tuple[str, str]:
        return self._random.choice(
            (
                "I'm sure that the answer is wrong and I am not happy with it.",
                "Dear support team, this is great but my name is not shown.",
                "Thanks, It works now. Best, as always.",
                "The capital of France is Paris, and it was founded long ago.",
                "My password is wrong and the key is missing.",
                "He was born in Berlin and lives in the city by the lake.",
                "Please call me back when the order has arrived.",
                "Take the second street on the left, then go 5 minutes down the road.",
                "The address is wrong and the phone number is too old.",
                "I live in a small flat with 2 cats and 1 dog.",
                "Send it to 3 people or to the whole team.",
                "This is Python, not Java; Hello World prints twice.",
                "Mein Name steht nicht auf der Rechnung, und die Adresse ist falsch.",
                "La réponse est fausse et mon adresse a changé.",
                "Mi nombre no sale en la factura y la calle es larga.",
                "My birthday was great, the token is expired and the secret is out.",
            )
        ), "{}"
