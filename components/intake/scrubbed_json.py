"""Scrub JSON values: texts, keys, long numbers, and whole values under keys that name personal data."""

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

_PRIVATE_KEYS = {
    "EMAIL": "email emailaddress mail mailaddress useremail",
    "PHONE": "phone phonenumber mobile mobilenumber tel telephone fax cell cellphone whatsapp msisdn",
    "NAME": "firstname lastname fullname surname givenname familyname username customername displayname login nickname "
    "realname author contactname",
    "ADDRESS": "address street streetaddress homeaddress postaladdress billingaddress shippingaddress",
    "IP": "ip ipaddress ipaddr clientip remoteip remoteaddr xforwardedfor xrealip",
    "SECRET": "password passwd pwd secret token accesstoken refreshtoken authtoken idtoken apikey authorization cookie "
    "cookies setcookie sessiontoken clientsecret privatekey cvv cvc pin otp",
    "SSN": "ssn socialsecuritynumber socialsecurity",
    "ID": "passport passportnumber nationalid taxid idnumber driverslicense licensenumber",
    "ACCOUNT": "accountnumber iban bic routingnumber",
    "CARD": "cardnumber creditcard creditcardnumber pan",
    "BIRTHDATE": "dob dateofbirth birthdate birthday",
    "USER": "user userid inputuser customerid enduser",
}
_KIND_OF_KEY = {key: kind for kind, keys in _PRIVATE_KEYS.items() for key in keys.split()}
_KEY_SIGNS = re.compile(r"[^a-z0-9]+")
_PERSON_NAME = re.compile(r"[A-ZÀ-ÞА-Я][\w'’\-]+(?: [A-ZÀ-ÞА-Я][\w'’.\-]*){1,3}\Z")
_USUAL_KEY = 64  # characters; longer keys are not remembered
_NAME = "name"  # of whom or of what, its value tells
_NUMBERS = (bool, int, float, type(None))
_LONG = 10**7  # a number of eight digits or more may be a telephone or card number


def _kind(key: str) -> str | None:
    bare = _KEY_SIGNS.sub("", key.lower())
    return _NAME if bare == _NAME else _KIND_OF_KEY.get(bare)


_usual_kind = lru_cache(4096)(_kind)


def private_kind(key: str, value: Any) -> str | None:
    """Return the kind of personal data that a key promises, or None."""
    kind = _usual_kind(key) if len(key) <= _USUAL_KEY else _kind(key)
    if kind == _NAME:
        return "NAME" if isinstance(value, str) and _PERSON_NAME.match(value) else None
    return kind


def collect(value: Any, texts: list[str]) -> None:
    """Append every text of a JSON value that has to be scrubbed, in the order that `rebuild` takes them back."""
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            name = str(key)
            texts.append(name)
            if private_kind(name, item) is None:
                if type(item) is str:  # most are; a call costs more than the rest
                    texts.append(item)
                else:
                    collect(item, texts)
    elif isinstance(value, list | tuple):
        for item in value:
            collect(item, texts)
    elif _long_number(value):
        texts.append(str(int(value)))
    elif not isinstance(value, _NUMBERS):
        texts.append(str(value))


def rebuild(value: Any, scrubbed: Iterator[str]) -> Any:
    """Return the JSON value with its texts replaced by the scrubbed ones; NaN and infinity become null."""
    if isinstance(value, str):
        return next(scrubbed)
    if isinstance(value, dict):
        result: dict[str, Any] = {}
        for key, item in value.items():
            name = next(scrubbed)
            kind = private_kind(str(key), item)
            while name in result:  # two keys became the same placeholder
                name += "'"
            if kind is None:
                result[name] = next(scrubbed) if type(item) is str else rebuild(item, scrubbed)
            else:
                result[name] = f"[{kind}]" if item is not None else None
        return result
    if isinstance(value, list | tuple):
        return [rebuild(item, scrubbed) for item in value]
    if _long_number(value):
        text = next(scrubbed)
        return value if text == str(int(value)) else text
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, _NUMBERS) else next(scrubbed)


def _long_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, float):
        return abs(value) >= _LONG and value.is_integer() and abs(value) < 1e20
    return isinstance(value, int) and abs(value) >= _LONG
