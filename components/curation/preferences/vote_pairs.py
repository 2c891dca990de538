"""Up-voted over down-voted answers to near-equal questions."""

from collections import Counter
from collections.abc import Sequence

from flywheel.components.curation.preferences.answers import Answer, near_equal
from flywheel.components.curation.preferences.pair import VOTES, Pair


def vote_pairs(answers: Sequence[Answer], lexicon: frozenset[str], dropped: Counter[str]) -> list[Pair]:
    """Prefer the best-liked answer of a question to every answer that more subjects dislike than like.

    Args:
        answers: All answers to near-equal questions.
        lexicon: Names of the corpus.
        dropped: Counts pairs that were not made, by reason.

    Returns:
        The pairs; the weight is the share of the subjects who agree, with one of doubt on either side.
    """
    made: list[Pair] = []
    disliked = [answer for answer in answers if answer.net < 0]
    if not disliked or all(answer.net <= 0 for answer in answers):
        return made
    best = max(answers, key=lambda answer: (answer.net, len(answer.up), answer.form))
    for worst in disliked:
        if not near_equal(best, worst, lexicon):
            dropped["prompts_differ"] += 1
            continue
        agreeing = len(best.up) + len(worst.down)
        made.append(
            Pair(
                prompt=best.prompt,
                chosen=best.text,
                rejected=worst.text,
                better=best.said,
                worse=worst.said,
                evidence=VOTES,
                because=f"{_votes(best)} against {_votes(worst)}",
                weight=(agreeing + 1) / (agreeing + len(best.down) + len(worst.up) + 2),
                subjects=best.up | worst.down,
                evidence_ids=best.evidence_ids | worst.evidence_ids,
                at=min((at for at in (best.at, worst.at) if at), default=None),
            )
        )
    return made


def _votes(answer: Answer) -> str:
    return f"{len(answer.up)} up and {len(answer.down)} down"
