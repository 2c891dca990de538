"""The gate: which recall each type needs, what it decides wrongly how often, and what to do when it stops the run."""

from collections.abc import Mapping

from scipy import stats

from flywheel.components.intake.privacy_audit.audit import CONFIDENCE, Audit
from flywheel.components.statistics.binomial_bounds import lower_bound

# Recall below which a type must not pass; what carries check digits or a fixed shape is held to more.
DEFAULT_LEAST: Mapping[str, float] = {
    "email": 0.93,
    "phone_international": 0.90,
    "phone_national": 0.75,
    "card": 0.93,
    "iban": 0.93,
    "ipv4": 0.93,
    "ipv6": 0.93,
    "mac": 0.93,
    "ssn": 0.93,
    "national_id": 0.85,
    "passport": 0.85,
    "birth_date": 0.85,
    "secret": 0.90,
    "connection_string": 0.90,
    "url_token": 0.90,
    "street_address": 0.70,
    "name_introduced": 0.80,
}
NOT_GATED: Mapping[str, str] = {
    "name_mid_sentence": "a name in the middle of a sentence needs a model (extra `ner`); measured, not gated",
}


class PersonalDataLeaks(ValueError):
    """Intake leaves a type of personal data readable more often than the gate allows."""


def failing(audit: Audit, least: Mapping[str, float] = DEFAULT_LEAST) -> dict[str, str]:
    """Return the types that do not pass, with words.

    A type passes when the lower bound of its recall reaches `least`: one whose true recall is lower passes in at most
    5 % of audits (the bound is exact). How often a better one fails is `chance_of_failure`.

    Args:
        audit: What was measured.
        least: Type -> recall needed; types that are not named are not gated.
    """
    words = {}
    for kind, needed in least.items():
        one = audit.types.get(kind)
        if one is None or one.low >= needed:
            continue
        if one.counted < _enough(needed) and (one.share >= needed or not one.counted):
            words[kind] = (
                f"{kind}: only {one.counted} of {one.counted + one.lost} canaries came through, too few to "
                f"show a recall of {needed:.0%}"
            )
        else:
            where = ", ".join(locale for locale, _ in one.leaking.most_common(5))
            words[kind] = (
                f"{kind}: {one.replaced} of {one.counted} replaced, at least {one.low:.1%} (needed {needed:.0%}); "
                f"left readable in formats of {where}"
            )
    return words


def raise_if_any(audit: Audit, least: Mapping[str, float] = DEFAULT_LEAST) -> None:
    """Stop the pipeline when a type does not pass.

    Raises:
        PersonalDataLeaks: The message names the types, the locales and what to do.
    """
    words = failing(audit, least)
    if words:
        raise PersonalDataLeaks(
            "intake leaves personal data readable: " + "; ".join(words.values()) + ". Do not train on these logs: give "
            "the formats to the owner of components/intake/privacy, leave the fields out of the logs, or (when you "
            "know that your logs hold no such data) lower the type's threshold by `least`"
        )


def chance_of_failure(recall: float, canaries: int, needed: float) -> float:
    """Chance that a type of this true recall does not pass; exact, binomial.

    Args:
        recall: True share that is replaced.
        canaries: How many are counted.
        needed: The type's threshold.
    """
    fewest = next(
        (hits for hits in range(canaries + 1) if lower_bound(hits, canaries, CONFIDENCE) >= needed), canaries + 1
    )
    return float(stats.binom.cdf(fewest - 1, canaries, recall))


def parse_least(text: str) -> dict[str, float]:
    """Read thresholds such as `card=0.9,street_address=0`; what is not named keeps its default.

    Raises:
        ValueError: A name or a number is wrong.
    """
    least = dict(DEFAULT_LEAST)
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, sign, number = part.partition("=")
        kind = kind.strip()
        try:
            value = float(number) if sign else -1.0
        except ValueError:
            value = -1.0
        if kind not in DEFAULT_LEAST or not 0 <= value < 1:
            raise ValueError(
                f"threshold {part!r} is not TYPE=RECALL with a recall in [0, 1) and "
                f"a type of {', '.join(DEFAULT_LEAST)}"
            )
        least[kind] = value
    return least


def _enough(needed: float) -> int:
    count = 1
    while needed > 0 and lower_bound(count, count, CONFIDENCE) < needed:
        count += 1
    return count
