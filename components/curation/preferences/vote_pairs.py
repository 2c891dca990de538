"""Up-voted over down-voted answers to near-equal questions."""

from collections import Counter
from collections.abc import Mapping, Sequence

from flywheel.components.curation.preferences.answers import Answer, near_equal
from flywheel.components.curation.preferences.pair import VOTES, Pair


def vote_pairs(answers: Mapping[int, Sequence[Answer]], lexicon: frozenset[str], dropped: Counter[str]) -> list[Pair]:
    """Prefer the best-liked answer of a question to every answer that more subjects dislike than like.

    Args:
        answers: Topic -> answers.
        lexicon: Names of the corpus.
        dropped: Counts pairs that were not made, by reason.

    Returns:
        The pairs; the weight is the share of the subjects who agree, with one of doubt on either side.
    """
    made = []
    for topic, known in sorted(answers.items()):
        best = max(known, key=lambda answer: (answer.net, len(answer.up), answer.form))
        for worst in known:
            if not best.net > 0 > worst.net:
                continue
            if not near_equal(best, worst, lexicon):
                dropped["prompts_differ"] += 1
                continue
            agreeing = len(best.up) + len(worst.down)
            made.append(
                Pair(
                    topic=topic,
                    prompt=best.prompt,
                    chosen=best.text,
                    rejected=worst.text,
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
