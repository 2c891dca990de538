"""Check digits of the identity numbers of many countries; all take strings without separators, letters in upper case.

Sources: the rules that the issuing offices publish, as collected in the OECD's TIN sheets and in each country's law.
"""

from collections.abc import Callable
from datetime import date

from flywheel.components.intake.privacy.checksums import luhn

# Verhoeff's tables (dihedral group D5; permutation), for Aadhaar numbers.
_D5 = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTATION = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip
_CHINESE_CHECK = "10X98765432"
_FINNISH_CHECK = "0123456789ABCDEFHJKLMNPRSTUVWXY"


def verhoeff(digits: str) -> bool:
    """Whether the last digit is Verhoeff's check digit (Verhoeff 1969), as in Aadhaar numbers."""
    check = 0
    for position, digit in enumerate(reversed(digits)):
        check = int(_D5[check][int(_PERMUTATION[position % 8][int(digit)])])
    return check == 0


def cpf(digits: str) -> bool:
    """Whether eleven digits are a Brazilian CPF (two check digits modulo 11)."""
    if len(set(digits)) == 1:
        return False
    return all(_weighted(digits, range(length + 1, 1, -1)) * 10 % 11 % 10 == int(digits[length]) for length in (9, 10))


def cnpj(digits: str) -> bool:
    """Whether fourteen digits are a Brazilian CNPJ (two check digits modulo 11)."""
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    first = _weighted(digits, weights[1:]) % 11
    second = _weighted(digits, weights) % 11
    return digits[12:] == "".join(str(0 if rest < 2 else 11 - rest) for rest in (first, second))


def spanish(text: str) -> bool:
    """Whether a DNI (8 digits and a letter) or NIE (X, Y or Z, 7 digits and a letter) has its letter."""
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[-1]


def french(text: str) -> bool:
    """Whether a NIR (13 characters and two digits) has its key: 97 minus the rest modulo 97."""
    digits = text.replace("2A", "19", 1).replace("2B", "18", 1)
    return digits.isdigit() and 97 - int(digits[:13]) % 97 == int(digits[13:])


def swedish(digits: str) -> bool:
    """Whether the last ten digits are a personnummer: a day (coordination numbers add 60) and Luhn."""
    ten = digits[-10:]
    return _day(ten[:2], ten[2:4], str(int(ten[4:6]) % 60).zfill(2)) and luhn(ten)


def norwegian(digits: str) -> bool:
    """Whether eleven digits are a fødselsnummer: two check digits modulo 11."""
    first = -_weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = -_weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return digits[9:] == f"{first}{second}" and _day(digits[4:6], digits[2:4], str(int(digits[:2]) % 40).zfill(2))


def danish(digits: str) -> bool:
    """Whether ten digits begin with a day, as a CPR number does (its check digit is no longer kept)."""
    return _day(digits[4:6], digits[2:4], digits[:2])


def finnish(text: str) -> bool:
    """Whether a henkilötunnus has its check character (the number modulo 31)."""
    return _FINNISH_CHECK[int(text[:6] + text[7:10]) % 31] == text[10] and _day(text[4:6], text[2:4], text[:2])


def polish(digits: str) -> bool:
    """Whether eleven digits are a PESEL: a day (the month tells the century) and a check digit."""
    month = str(int(digits[2:4]) % 20).zfill(2)
    return _weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0 and _day(digits[:2], month, digits[4:6])


def czech(digits: str) -> bool:
    """Whether nine or ten digits are a rodné číslo: a day (women's months add 50) and, with ten, a multiple of 11."""
    month = str(int(digits[2:4]) % 50 % 20).zfill(2)
    right = len(digits) == 9 or int(digits) % 11 == 0 or (int(digits[:9]) % 11 == 10 and digits[9] == "0")
    return right and _day(digits[:2], month, digits[4:6])


def romanian(digits: str) -> bool:
    """Whether thirteen digits are a CNP: a day and a check digit modulo 11."""
    rest = _weighted(digits, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return (1 if rest == 10 else rest) == int(digits[12]) and _day(digits[1:3], digits[3:5], digits[5:7])


def bulgarian(digits: str) -> bool:
    """Whether ten digits are an EGN: a day (the month tells the century) and a check digit."""
    month = str(int(digits[2:4]) % 20).zfill(2)
    check = _weighted(digits, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10
    return check == int(digits[9]) and _day(digits[:2], month, digits[4:6])


def baltic(digits: str) -> bool:
    """Whether eleven digits are an Estonian isikukood or a Lithuanian asmens kodas."""
    rest = _weighted(digits, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if rest == 10:
        rest = _weighted(digits, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return rest == int(digits[10]) and "1" <= digits[0] <= "8" and _day(digits[1:3], digits[3:5], digits[5:7])


def yugoslav(digits: str) -> bool:
    """Whether thirteen digits are a JMBG or EMŠO (Serbia, Slovenia and others): a day and a check digit modulo 11."""
    rest = -_weighted(digits, (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return rest % 10 == int(digits[12]) and _day(digits[5:7], digits[2:4], digits[:2])


def croatian(digits: str) -> bool:
    """Whether eleven digits are an OIB, or ten and a check a German tax id (ISO 7064, mod 11,10)."""
    carry = 10
    for digit in digits[:-1]:
        carry = (carry + int(digit)) % 10 or 10
        carry = carry * 2 % 11
    return (11 - carry) % 10 == int(digits[-1])


def german_tax(digits: str) -> bool:
    """Whether eleven digits are a Steuer-ID: of the first ten one digit stands twice or thrice; ISO 7064 mod 11,10."""
    repeated = sorted((digits[:10].count(digit) for digit in set(digits[:10])), reverse=True)
    return digits[0] != "0" and repeated[0] in (2, 3) and repeated[1:2] != [3] and croatian(digits)


def belgian(digits: str) -> bool:
    """Whether eleven digits are a rijksregisternummer: 97 minus the rest modulo 97; since 2000 with a 2 before it."""
    keys = (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)
    return int(digits[9:]) in keys and int(digits[2:4]) % 20 <= 12


def swiss(digits: str) -> bool:
    """Whether thirteen digits are an AHV number: 756 and the check digit of EAN-13."""
    return digits.startswith("756") and _weighted(digits, (1, 3) * 6 + (1,)) % 10 == 0


def austrian(digits: str) -> bool:
    """Whether ten digits are an Austrian social security number: check digit at the fourth place, then a day."""
    check = _weighted(digits[:3] + digits[4:], (3, 7, 9, 5, 8, 4, 2, 1, 6)) % 11
    return check == int(digits[3]) and _day(digits[8:], digits[6:8], digits[4:6])


def portuguese(digits: str) -> bool:
    """Whether nine digits are a NIF: a check digit modulo 11."""
    rest = _weighted(digits, range(9, 1, -1)) % 11
    return digits[0] in "12356789" and int(digits[8]) == (0 if rest < 2 else 11 - rest)


def turkish(digits: str) -> bool:
    """Whether eleven digits are a Turkish identity number: two check digits."""
    numbers = list(map(int, digits))
    tenth = (sum(numbers[0:9:2]) * 7 - sum(numbers[1:8:2])) % 10
    return numbers[0] > 0 and numbers[9] == tenth and numbers[10] == sum(numbers[:10]) % 10


def russian(digits: str) -> bool:
    """Whether twelve digits are a person's INN: two check digits modulo 11."""
    weights = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
    return all(_weighted(digits, weights[1 - more :]) % 11 % 10 == int(digits[10 + more]) for more in (0, 1))


def russian_insurance(digits: str) -> bool:
    """Whether eleven digits are a SNILS: the last two are the weighted sum modulo 101."""
    return _weighted(digits, range(9, 0, -1)) % 101 % 100 == int(digits[9:])


def chinese(text: str) -> bool:
    """Whether eighteen characters are a resident identity number: a day and ISO 7064 mod 11-2."""
    rest = _weighted(text, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11
    return _CHINESE_CHECK[rest] == text[17] and _day(text[6:10], text[10:12], text[12:14])


def korean(digits: str) -> bool:
    """Whether thirteen digits begin with a day and a sex digit, as a Korean resident number does."""
    return digits[6] in "1234567890" and _day(digits[:2], digits[2:4], digits[4:6])


def thai(digits: str) -> bool:
    """Whether thirteen digits are a Thai identity number: a check digit modulo 11."""
    return digits[0] != "0" and (11 - _weighted(digits, range(13, 1, -1)) % 11) % 10 == int(digits[12])


def south_african(digits: str) -> bool:
    """Whether thirteen digits are a South African identity number: a day, citizenship 0-2 and Luhn."""
    return digits[10] in "012" and _day(digits[:2], digits[2:4], digits[4:6]) and luhn(digits)


def chilean(text: str) -> bool:
    """Whether a RUT has its check character (modulo 11, K for ten)."""
    total = sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(text[:-1])))
    return "0123456789K"[-total % 11] == text[-1]


def argentine(digits: str) -> bool:
    """Whether eleven digits are a CUIT or CUIL: a check digit modulo 11."""
    return -_weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11 % 10 == int(digits[10]) and digits[0] in "23"


def singaporean(text: str) -> bool:
    """Whether a letter, seven digits and a letter are an NRIC or FIN."""
    total = _weighted(text[1:8], (2, 7, 6, 5, 4, 3, 2)) + (4 if text[0] in "TG" else 3 if text[0] == "M" else 0)
    letters = "JZIHGFEDCBA" if text[0] in "ST" else "XWUTRQPNMLK" if text[0] in "FG" else "KLJNPQRTUWX"
    rest = total % 11
    return letters[10 - rest if text[0] == "M" else rest] == text[8]


def irish(text: str) -> bool:
    """Whether seven digits and one or two letters are a PPS number (modulo 23)."""
    total = _weighted(text[:7], range(8, 1, -1))
    if len(text) == 9 and text[8] != "W":
        total += (ord(text[8]) - 64) * 9
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == text[7]


def taiwanese(text: str) -> bool:
    """Whether a letter and nine digits are a Taiwanese identity number."""
    number = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(text[0]) + 10
    total = number // 10 + number % 10 * 9 + _weighted(text[1:9], range(8, 0, -1)) + int(text[9])
    return total % 10 == 0


def with_a_day(digits: str) -> bool:
    """Whether digits begin with year, month and day of a date."""
    return _day(digits[:2], digits[2:4], digits[4:6])


def day_first(digits: str) -> bool:
    """Whether digits begin with day, month and year of a date."""
    return _day(digits[4:6], digits[2:4], digits[:2])


def _weighted(digits: str, weights: "range | tuple[int, ...]") -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _day(year: str, month: str, day: str) -> bool:
    """Whether there is such a day; of a year of two digits both centuries count."""
    try:
        date(int(year) if len(year) == 4 else 2000 + int(year), int(month), int(day))
    except ValueError:
        return False
    return True


Check = Callable[[str], bool]
