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


# Digits in ASCII to the digit sum of twice the digit.
_DOUBLED = bytes(((code - 48) * 2 % 10 + (code - 48) // 5) % 256 if 48 <= code < 58 else 0 for code in range(256))


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit (ISO/IEC 7812-1 Annex B)."""
    raw = digits.encode()
    plain = raw[-1::-2]
    return (sum(plain) - 48 * len(plain) + sum(raw[-2::-2].translate(_DOUBLED))) % 10 == 0


def payment_card(digits: str) -> bool:
    """Whether digits are a payment card number: 12-19 digits, an issuer's first digits, Luhn, not all one.

    Twelve digits are a Maestro card (50, 56-69) only; 1800 and 2131 begin JCB's 15 digits; 81 and 82 are RuPay.
    """
    if not 12 <= len(digits) <= 19:
        return False
    if len(digits) == 12:
        issued = digits[:2] == "50" or "56" <= digits[:2] <= "69"
    else:
        issued = digits[0] in "23456" or digits[:2] in ("81", "82") or (len(digits) == 15 and digits[:4] == "1800")
    return issued and len(set(digits)) > 1 and luhn(digits)


def iban(text: str) -> bool:
    """Whether an upper-case string is an IBAN of its country's length with remainder 1 modulo 97 (ISO 13616)."""
    return IBAN_LENGTHS.get(text[:2]) == len(text) and remainder_97(text) == 1


_LETTER_VALUES = {ord("A") + place: str(10 + place) for place in range(26)}


def remainder_97(text: str) -> int:
    """Return the ISO 7064 remainder of an upper-case IBAN of any length; 1 when its check digits are right."""
    return int((text[4:] + text[:4]).translate(_LETTER_VALUES)) % 97


def social_security(digits: str) -> bool:
    """Whether nine digits can be a US social security or taxpayer number (SSA rules; 9xx only as an ITIN)."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if area in ("000", "666") or group == "00" or serial == "0000":
        return False
    return area[0] != "9" or int(group) >= 50


def internet_address(text: str) -> bool:
    """Whether a string is an IPv4 or IPv6 address, by the standard library."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
