"""Numbers that are nobody's: what a word or a sign next to them says."""

from flywheel.components.intake.privacy.patterns import short

_NUMBER_WORD = (
    r"(?:[ \-]?(?:number|num|no\.?|nr\.?|nummer|n[°º]|id|#|code))*[\"']?(?: (?:is|was|ist|est"
    r"|es))?\s*[:#=]?\s*[\"'\[(]?$"
)
_OTHER_NUMBER = short(
    r"\b(?:order|invoice|ticket|case|bestell\w*|rechnung\w*|auftrag\w*|commande|facture|pedido|factura|ordine"
    r"|reference|ref|tracking|shipment|parcel|serial|item|article|artikel\w*|product|sku|isbn|ean|model|version"
    r"|build|commit|error|uuid|booking|confirmation|transaction|timestamp)" + _NUMBER_WORD
)
_OTHER_DIGITS = short(
    r"\b(?:id|code|customer|kunden\w*|client|part|line|page|row|step|seed|port|pid|account)" + _NUMBER_WORD
)
_QUANTITY = short(
    r"^\s?(?:[€$£¥%°₹]|(?:eur|usd|gbp|inr|euros?|dollars?|pounds?|rupees?|users?|people|items?|rows?"
    r"|tokens?|bytes?|[kmgt]i?b|ms"
    r"|seconds?|minutes?|hours?|days?|years?|meters?|metres?|km|kg|miles?|points?|times|stück|personen)\b)"
)
_CURRENCY = short(r"(?:[$€£¥₹]|\b(?:eur|usd|gbp|inr|rs\.?))\s?$")
_LEAD = 30  # characters before the number


def named_otherwise(text: str, start: int, *, digits_only: bool = False) -> bool:
    """Whether a word before says what the number is: an order, a version; for bare digits also a page or a code."""
    lead = text[max(0, start - _LEAD) : start]
    return bool(_OTHER_NUMBER.search(lead) or (digits_only and _OTHER_DIGITS.search(lead)))


def quantity(text: str, start: int, end: int) -> bool:
    """Whether a number is an amount: a currency before it or a unit behind it."""
    return bool(_CURRENCY.search(text[max(0, start - 5) : start]) or _QUANTITY.search(text[end : end + 12]))
