"""Mine preference pairs: which of two answers to one question people prefer, with the evidence.

* correction: the accepted correction is preferred to the answer that it corrects; the weight is its confidence.
* votes: of two answers to near-equal questions the up-voted one is preferred to the down-voted one.
* concise: of two answers that are equally right, by evidence, the clearly shorter one that is liked.

A pair is left out when it contradicts stronger or equal evidence, would teach what a correction unteaches, lies between
two near-duplicate groups (it would leak across a split), comes twice, or is beyond one subject's share. Every pair that
was considered is accounted for.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from flywheel.components.curation.guards.poison_guard import over_cap
from flywheel.components.curation.preferences.answers import Row, prompt_of
from flywheel.components.curation.preferences.concise_pairs import concise_pairs
from flywheel.components.curation.preferences.contradictions import without_contradictions
from flywheel.components.curation.preferences.evidence import Asked, Correction, Evidence
from flywheel.components.curation.preferences.pair import CORRECTION, Pair
from flywheel.components.curation.preferences.pair_rows import PairRows
from flywheel.components.curation.preferences.rated_answers import RatedRows
from flywheel.components.curation.preferences.supporters import Supporters
from flywheel.components.curation.preferences.vote_pairs import vote_pairs


@dataclass(frozen=True)
class Mined:
    """The pairs and where the rest went: considered = pairs + duplicates + dropped. Use it in a `with` statement.

    Attributes:
        pairs: The pairs, on disk.
        rated: Answers that were liked or disliked, alone, on disk.
        considered: Pairs that the evidence suggests.
        duplicates: Pairs that were there already; their evidence is joined.
        dropped: Pairs left out, by reason.
    """

    pairs: PairRows
    rated: RatedRows
    considered: int
    duplicates: int
    dropped: dict[str, int]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.pairs.__exit__()
        self.rated.__exit__()


def mine(
    candidates: Iterable[Row],
    voted: Iterable[Row],
    lexicon: frozenset[str],
    supporters: Supporters | None = None,
    max_share_per_subject: float = 0.02,
) -> Mined:
    """Make the pairs.

    Both inputs are read once and lie on disk from then on; in memory lie about 100 bytes for each row of them, 200 for
    each pair, and what was said about one question.

    Args:
        candidates: Accepted candidates.
        voted: Rated interactions of `stages.votes`.
        lexicon: Names of the corpus.
        supporters: Who gave each correction; by default only the candidate's subject.
        max_share_per_subject: Greatest share of the pairs that one subject alone may stand behind, in (0, 1].

    Returns:
        The pairs: the same for every order of the rows.

    Raises:
        ValueError: `max_share_per_subject` is out of range.
    """
    over_cap([], max_share_per_subject)  # refuses a share that is out of range before the work
    pairs, rated = PairRows(), RatedRows()
    dropped: Counter[str] = Counter()
    considered = 0
    with Evidence(candidates, voted, lexicon) as evidence:
        for about in evidence.by_question():
            made = [_correction(one, supporters) for one in about.corrections]
            made += vote_pairs(about.answers, lexicon, dropped)
            made += concise_pairs(about.answers, about.corrected, lexicon)
            considered += len(made)
            made = _in_group(_unlike(made, about.corrected, about.right, dropped), about, dropped)
            pairs.add(without_contradictions(made, dropped))
            rated.add(about)
    considered += dropped["prompts_differ"]
    pairs.settle(max_share_per_subject)
    if pairs.over_share:
        dropped["subject_cap"] += pairs.over_share
    return Mined(pairs, rated.finish(), considered, pairs.duplicates, {k: n for k, n in sorted(dropped.items()) if n})


def _correction(given: Correction, supporters: Supporters | None) -> Pair:
    row = given.row
    behind = supporters.of(given.key) if supporters else {}
    subjects = frozenset({row["subject"], *behind})
    people = f"{len(subjects)} user{'s' if len(subjects) > 1 else ''}"
    return Pair(
        prompt=prompt_of(row),
        chosen=row["correction"],
        rejected=row["response"],
        better=given.right,
        worse=given.wrong,
        evidence=CORRECTION,
        because=f"{row['category'] or 'some'} correction by {people}, accepted",
        weight=row["confidence"],
        subjects=subjects,
        evidence_ids=frozenset(behind.values()) or frozenset({row["interaction_id"]}),
        at=given.at,
        candidate_id=row["candidate_id"],
        group_id=row["group_id"],
    )


def _unlike(
    pairs: Sequence[Pair], corrected: Collection[int], right: Collection[int], dropped: Counter[str]
) -> list[Pair]:
    """Pairs of different texts that do not teach against an accepted correction."""
    kept = []
    for pair in pairs:
        if not pair.chosen.strip() or not pair.rejected.strip():
            dropped["blank"] += 1
        elif pair.chosen.split() == pair.rejected.split():
            dropped["same_text"] += 1
        elif pair.evidence != CORRECTION and (
            (pair.better in corrected and pair.better not in right)
            or (pair.worse in right and pair.worse not in corrected)
        ):
            dropped["contradicts_correction"] += 1
        else:
            kept.append(pair)
    return kept


def _in_group(pairs: Sequence[Pair], about: Asked, dropped: Counter[str]) -> list[Pair]:
    """Pairs that lie in one near-duplicate group."""
    kept = []
    for pair in pairs:
        if not pair.group_id and about.group_id is None:
            dropped["between_groups"] += 1
        else:
            kept.append(replace(pair, group_id=pair.group_id or about.group_id))
    return kept
