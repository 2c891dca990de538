"""Personal data as users leave it, drawn from generators that know nothing of the intake's patterns.

Numbers are valid where a checksum exists (cards by Luhn, ISO/IEC 7812-1; IBAN by ISO 7064 mod 97-10), domains are
the reserved ones of RFC 2606. Nothing here belongs to a person.
"""

from collections.abc import Callable
from random import Random

_NAMES = (
    "Anna Keller",
    "Boris Novak",
    "Carla Rossi",
    "David Olsen",
    "Elena Costa",
    "Farid Haddad",
    "Grace Miller",
    "Hugo Lindt",
    "Irene Pereira",
    "Jonas Weiss",
    "Katja Vogel",
    "Liam Brandt",
)


def email(random: Random) -> str:
    """Return an e-mail address."""
    first, last = random.choice(_NAMES).lower().split()
    local = random.choice((f"{first}.{last}", f"{first}{random.randrange(100)}", f"{first[0]}_{last}", f"{first}+shop"))
    return f"{local}@{random.choice(('example.com', 'mail.example.org', 'example.net', 'post.example.com'))}"


def phone(random: Random) -> str:
    """Return a phone number in one of several national styles."""
    digits = "".join(str(random.randrange(10)) for _ in range(7))
    return random.choice(
        (
            f"+49 170 {digits}",
            f"(415) 555-01{digits[:2]}",
            f"+1-202-555-01{digits[:2]}",
            f"+44 20 7946 0{digits[:3]}",
            f"+33 6 {digits[:2]} {digits[2:4]} {digits[4:6]} {digits[5:7]}",
            f"0171 / {digits}",
            f"+421 905 {digits[:3]} {digits[3:6]}",
        )
    )


def luhn_digit(number: str) -> str:
    """Return the check digit that completes a card number."""
    total = 0
    for place, char in enumerate(reversed(number)):
        value = int(char) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def card(random: Random) -> str:
    """Return a payment card number with a right check digit."""
    start = random.choice(("4", "51", "55", "37"))
    length = 14 if start == "37" else 15
    number = start + "".join(str(random.randrange(10)) for _ in range(length - len(start)))
    number += luhn_digit(number)
    if length == 14:
        return random.choice((number, f"{number[:4]} {number[4:10]} {number[10:]}"))
    parts = [number[place : place + 4] for place in range(0, 16, 4)]
    return random.choice((number, " ".join(parts), "-".join(parts)))


def iban(random: Random) -> str:
    """Return an IBAN with right check digits."""
    country, length = random.choice((("DE", 18), ("AT", 16), ("SK", 20), ("BE", 12), ("ES", 20)))
    account = "".join(str(random.randrange(10)) for _ in range(length))
    letters = "".join(str(ord(char) - 55) for char in country)
    number = f"{country}{98 - int(account + letters + '00') % 97:02d}{account}"
    spaced = " ".join(number[place : place + 4] for place in range(0, len(number), 4))
    return random.choice((number, spaced))


def address(random: Random) -> str:
    """Return an IPv4 or IPv6 address."""
    if random.random() < 0.3:
        return "2001:db8:" + ":".join(f"{random.randrange(1, 65536):x}" for _ in range(6))
    return random.choice(("203.0.113", "198.51.100", "10.20.30", "172.16.5")) + f".{random.randrange(1, 255)}"


def ssn(random: Random) -> str:
    """Return a number in the shape of a US social security number, from ranges that are issued."""
    return f"{random.randrange(100, 660):03d}-{random.randrange(10, 99)}-{random.randrange(1000, 9999)}"


def name(random: Random) -> str:
    """Return a person's name."""
    return random.choice(_NAMES)


KINDS: dict[str, tuple[Callable[[Random], str], tuple[str, ...]]] = {
    "email": (email, ("Write to me at {v}.", "my mail is {v}", "Contact: {v}")),
    "phone": (phone, ("Call me: {v}", "my number is {v}", "You can reach me on {v}.")),
    "card": (card, ("I paid with card {v}.", "card no {v}", "My credit card is {v}")),
    "iban": (iban, ("Refund to {v}.", "my IBAN is {v}", "Account: {v}")),
    "ip": (address, ("I am on {v}.", "my router says {v}", "Logged in from {v}")),
    "ssn": (ssn, ("My SSN is {v}.", "ssn {v}", "social security number {v}")),
    "name": (name, ("My name is {v}.", "I am called {v}.", "this is {v} speaking")),
}
_WEIGHTS = {"email": 5, "phone": 4, "card": 2, "iban": 2, "ip": 2, "ssn": 1, "name": 4}


def remark(random: Random) -> tuple[str, str, str]:
    """Draw a remark with personal data in it.

    Returns:
        The kind, the personal data itself, and the whole remark.
    """
    kind = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    make, frames = KINDS[kind]
    value = make(random)
    return kind, value, random.choice(frames).format(v=value)
