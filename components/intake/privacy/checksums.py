"""Check digits and number rules of the identifiers that carry them; all take bare strings without separators."""

import ipaddress

IBAN_LENGTHS = {
    "AD": 24,
    "AE": 23,
    "AL": 28,
    "AT": 20,
    "AZ": 28,
    "BA": 20,
    "BE": 16,
    "BG": 22,
    "BH": 22,
    "BI": 27,
    "BR": 29,
    "BY": 28,
    "CH": 21,
    "CR": 22,
    "CY": 28,
    "CZ": 24,
    "DE": 22,
    "DJ": 27,
    "DK": 18,
    "DO": 28,
    "EE": 20,
    "EG": 29,
    "ES": 24,
    "FI": 18,
    "FK": 18,
    "FO": 18,
    "FR": 27,
    "GB": 22,
    "GE": 22,
    "GI": 23,
    "GL": 18,
    "GR": 27,
    "GT": 28,
    "HR": 21,
    "HU": 28,
    "IE": 22,
    "IL": 23,
    "IQ": 23,
    "IS": 26,
    "IT": 27,
    "JO": 30,
    "KW": 30,
    "KZ": 20,
    "LB": 28,
    "LC": 32,
    "LI": 21,
    "LT": 20,
    "LU": 20,
    "LV": 21,
    "LY": 25,
    "MC": 27,
    "MD": 24,
    "ME": 22,
    "MK": 19,
    "MN": 20,
    "MR": 27,
    "MT": 31,
    "MU": 30,
    "NI": 28,
    "NL": 18,
    "NO": 15,
    "OM": 23,
    "PK": 24,
    "PL": 28,
    "PS": 29,
    "PT": 25,
    "QA": 29,
    "RO": 24,
    "RS": 22,
    "RU": 33,
    "SA": 24,
    "SC": 31,
    "SD": 18,
    "SE": 24,
    "SI": 19,
    "SK": 24,
    "SM": 27,
    "SO": 23,
    "ST": 25,
    "SV": 28,
    "TL": 23,
    "TN": 24,
    "TR": 26,
    "UA": 29,
    "VA": 22,
    "VG": 24,
    "XK": 20,
    "YE": 30,
}  # SWIFT IBAN registry, release 99

# Verhoeff's tables (dihedral group D5; permutation), for Aadhaar numbers.
_D5 = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTATION = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit (ISO/IEC 7812-1 Annex B)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit)
        if position % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def payment_card(digits: str) -> bool:
    """Whether digits are a payment card number: length 13-19, an issuer's first digits (2-6), Luhn, not all one."""
    return 13 <= len(digits) <= 19 and digits[0] in "23456" and len(set(digits)) > 1 and luhn(digits)


def iban(text: str) -> bool:
    """Whether an upper-case string is an IBAN of its country's length with remainder 1 modulo 97 (ISO 13616)."""
    if IBAN_LENGTHS.get(text[:2]) != len(text):
        return False
    return int("".join(str(int(character, 36)) for character in text[4:] + text[:4])) % 97 == 1


def social_security(digits: str) -> bool:
    """Whether nine digits can be a US social security or taxpayer number (SSA rules; 9xx only as an ITIN)."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if area in ("000", "666") or group == "00" or serial == "0000":
        return False
    return area[0] != "9" or int(group) >= 50


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
    for length in (9, 10):
        weighted = sum(int(digit) * (length + 1 - index) for index, digit in enumerate(digits[:length]))
        if weighted * 10 % 11 % 10 != int(digits[length]):
            return False
    return True


def spanish_identity(text: str) -> bool:
    """Whether an upper-case DNI (8 digits and a letter) or NIE (X, Y or Z, 7 digits and a letter) has its letter."""
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[-1]


def french_social_security(digits: str) -> bool:
    """Whether 15 digits are a French NIR: the last two are 97 minus the rest modulo 97."""
    return 97 - int(digits[:13]) % 97 == int(digits[13:])


def internet_address(text: str) -> bool:
    """Whether a string is an IPv4 or IPv6 address, by the standard library."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
