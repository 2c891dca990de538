"""Concise over verbose at equal correctness.

Length alone proves nothing. The shorter answer must be liked, and that the longer one is as right must be shown: both
state the same facts (numbers with units, names, yes or no), or both are liked and neither states a fact that the other
does not. The longer one may not be disliked: then votes already say which is better.
"""

from collections.abc import Collection, Sequence
from functools import cache

from flywheel.components.curation.preferences.answers import Answer, near_equal
from flywheel.components.curation.preferences.pair import CONCISE, Pair
from flywheel.components.curation.preferences.stated_facts import Facts, evades, stated_facts

RATIO = 2 / 3  # the shorter answer has at most this share of the longer one's words
LEAST_SAVED = 5  # words


def concise_pairs(answers: Sequence[Answer], corrected: Collection[int], lexicon: frozenset[str]) -> list[Pair]:
    """Prefer the best-liked of the clearly shorter answers to a longer one that is as right.

    Args:
        answers: All answers to near-equal questions.
        corrected: Numbers of those that a correction replaced: they are not right.
        lexicon: Names of the corpus.

    Returns:
        One pair at most for every longer answer; the weight is the belief that both are right.
    """
    made: list[Pair] = []
    right = [answer for answer in answers if answer.net >= 0 and answer.said not in corrected]
    if len(right) < 2:
        return made
    liked = [answer for answer in right if answer.net > 0 and not evades(answer.form)]
    best_first = sorted(liked, key=lambda short: (short.net, -short.words, short.form), reverse=True)
    facts = cache(lambda answer: stated_facts(answer.question[1], answer.form, lexicon))
    for long in right:
        for short in best_first:
            if short.words > RATIO * long.words or long.words - short.words < LEAST_SAVED:
                continue
            proof = _proof(short, long, facts(short), facts(long)) if near_equal(short, long, lexicon) else ""
            if proof:
                made.append(_pair(short, long, proof))
                break
    return made


def _proof(short: Answer, long: Answer, stated: Facts, also: Facts) -> str:
    """Why the two are equally right, "" when nothing shows it."""
    if stated != also:
        return ""
    liked = f"both liked ({len(short.up)} and {len(long.up)} up)" if long.net > 0 else ""
    same = "same facts: " + "; ".join(sorted(" ".join(fact).strip() for fact in stated)) if stated else ""
    return ", ".join(filter(None, (liked, same)))


def _pair(short: Answer, long: Answer, proof: str) -> Pair:
    words = f"{short.words} words instead of {long.words}"
    return Pair(
        prompt=short.prompt,
        chosen=short.text,
        rejected=long.text,
        better=short.said,
        worse=long.said,
        evidence=CONCISE,
        because=f"{words}, {proof}",
        weight=short.belief * (long.belief if long.net > 0 else 1.0),
        subjects=short.up | long.up,
        evidence_ids=short.evidence_ids | long.evidence_ids,
        at=min((at for at in (short.at, long.at) if at), default=None),
    )
