"""Concise over verbose at equal correctness.

Length alone proves nothing. The shorter answer must be liked, and that the longer one is as right must be shown: both
state the same facts (numbers with units, names, yes or no), or both are liked and neither states a fact that the other
does not. The longer one may not be disliked: then votes already say which is better.
"""

from collections.abc import Collection, Sequence

from flywheel.components.curation.preferences.answers import Answer, near_equal
from flywheel.components.curation.preferences.pair import CONCISE, Pair
from flywheel.components.curation.preferences.stated_facts import evades, stated_facts

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
    for long in right:
        shorter = [short for short in right if _shorter(short, long)]
        shorter = [short for short in shorter if near_equal(short, long, lexicon)]
        proofs = {short.said: _proof(short, long, lexicon) for short in shorter}
        proven = [short for short in shorter if proofs[short.said]]
        if proven:
            best = max(proven, key=lambda short: (short.net, -short.words, short.form))
            made.append(_pair(best, long, proofs[best.said]))
    return made


def _shorter(short: Answer, long: Answer) -> bool:
    few, many = short.words, long.words
    return short.net > 0 and few <= RATIO * many and many - few >= LEAST_SAVED and not evades(short.form)


def _proof(short: Answer, long: Answer, lexicon: frozenset[str]) -> str:
    """Why the two are equally right, "" when nothing shows it."""
    facts = stated_facts(short.question[1], short.form, lexicon)
    if facts != stated_facts(long.question[1], long.form, lexicon):
        return ""
    liked = f"both liked ({len(short.up)} and {len(long.up)} up)" if long.net > 0 else ""
    same = "same facts: " + "; ".join(sorted(" ".join(fact).strip() for fact in facts)) if facts else ""
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
