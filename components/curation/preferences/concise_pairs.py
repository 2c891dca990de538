"""Concise over verbose at equal correctness.

Length alone proves nothing. The shorter answer must be liked, and that the longer one is as right must be shown: both
state the same facts (numbers with units, names, yes or no), or both are liked and neither states a fact that the other
does not. The longer one may not be disliked: then votes already say which is better.
"""

from collections.abc import Collection, Mapping, Sequence

from flywheel.components.curation.preferences.answers import Answer, near_equal
from flywheel.components.curation.preferences.pair import CONCISE, Pair
from flywheel.components.curation.preferences.stated_facts import evades, stated_facts

RATIO = 2 / 3  # the shorter answer has at most this share of the longer one's words
LEAST_SAVED = 5  # words


def concise_pairs(
    answers: Mapping[int, Sequence[Answer]], corrected: Collection[tuple[int, str]], lexicon: frozenset[str]
) -> list[Pair]:
    """Prefer the best-liked of the clearly shorter answers to a longer one that is as right.

    Args:
        answers: Topic -> answers.
        corrected: (topic, normal form) of answers that a correction replaced: they are not right.
        lexicon: Names of the corpus.

    Returns:
        One pair at most for every longer answer; the weight is the belief that both are right.
    """
    made = []
    for topic, known in sorted(answers.items()):
        right = [answer for answer in known if answer.net >= 0 and (topic, answer.form) not in corrected]
        for long in right:
            shorter = [short for short in right if _shorter(short, long)]
            shorter = [short for short in shorter if near_equal(short, long, lexicon)]
            proofs = {short.form: _proof(short, long, lexicon) for short in shorter}
            proven = [short for short in shorter if proofs[short.form]]
            if proven:
                best = max(proven, key=lambda short: (short.net, -len(short.form.split()), short.form))
                made.append(_pair(topic, best, long, proofs[best.form]))
    return made


def _shorter(short: Answer, long: Answer) -> bool:
    few, many = len(short.form.split()), len(long.form.split())
    return short.net > 0 and not evades(short.form) and few <= RATIO * many and many - few >= LEAST_SAVED


def _proof(short: Answer, long: Answer, lexicon: frozenset[str]) -> str:
    """Why the two are equally right, "" when nothing shows it."""
    facts = stated_facts(short.question[1], short.form, lexicon)
    if facts != stated_facts(long.question[1], long.form, lexicon):
        return ""
    liked = f"both liked ({len(short.up)} and {len(long.up)} up)" if long.net > 0 else ""
    same = "same facts: " + "; ".join(sorted(" ".join(fact).strip() for fact in facts)) if facts else ""
    return ", ".join(filter(None, (liked, same)))


def _pair(topic: int, short: Answer, long: Answer, proof: str) -> Pair:
    words = f"{len(short.form.split())} words instead of {len(long.form.split())}"
    return Pair(
        topic=topic,
        prompt=short.prompt,
        chosen=short.text,
        rejected=long.text,
        evidence=CONCISE,
        because=f"{words}, {proof}",
        weight=short.belief * (long.belief if long.net > 0 else 1.0),
        subjects=short.up | long.up,
        evidence_ids=short.evidence_ids | long.evidence_ids,
        at=min((at for at in (short.at, long.at) if at), default=None),
    )
