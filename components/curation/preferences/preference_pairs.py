"""Mine preference pairs: which of two answers to one question people prefer, with the evidence.

* correction: the accepted correction is preferred to the answer that it corrects; the weight is its confidence.
* votes: of two answers to near-equal questions the up-voted one is preferred to the down-voted one.
* concise: of two answers that are equally right, by evidence, the clearly shorter one that is liked.

A pair is left out when it contradicts stronger or equal evidence, would teach what a correction unteaches, lies between
two near-duplicate groups (it would leak across a split), comes twice, or is beyond one subject's share. Every pair that
was considered is accounted for.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa

from flywheel.components.curation.duplicates import near_duplicates
from flywheel.components.curation.guards.poison_guard import over_cap
from flywheel.components.curation.preferences.answers import Answer, Question, Row, gather, prompt_of, question_of
from flywheel.components.curation.preferences.concise_pairs import concise_pairs
from flywheel.components.curation.preferences.contradictions import without_contradictions
from flywheel.components.curation.preferences.pair import CORRECTION, RANK, SCHEMA, Pair
from flywheel.components.curation.preferences.rated_answers import rated_table
from flywheel.components.curation.preferences.vote_pairs import vote_pairs
from flywheel.components.curation.texts.normal_form import normal_form
from flywheel.components.store.tables import row_id

Supporters = Mapping[tuple[Question, str], Mapping[str, str]]
"""(question, normal form of the correction) -> subject -> feedback row."""
_SENTENCE = 4  # words
_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Mined:
    """The pairs and where the rest went: considered = pairs + duplicates + dropped.

    Attributes:
        pairs: Schema `pair.SCHEMA`, ordered by evidence, then content.
        rated: Answers that were liked or disliked, alone, schema `rated_answers.SCHEMA`.
        considered: Pairs that the evidence suggests.
        duplicates: Pairs that were there already; their evidence is joined.
        dropped: Pairs left out, by reason.
    """

    pairs: pa.Table
    rated: pa.Table
    considered: int
    duplicates: int
    dropped: dict[str, int]

    def evidence(self) -> dict[str, int]:
        """Pairs by evidence."""
        return dict(sorted(Counter(self.pairs["evidence"].to_pylist()).items()))


def mine(
    candidates: Sequence[Row],
    voted: Sequence[Row],
    lexicon: frozenset[str],
    supporters: Supporters | None = None,
    max_share_per_subject: float = 0.02,
) -> Mined:
    """Make the pairs.

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
    candidates = sorted(candidates, key=lambda row: row["candidate_id"])
    voted = sorted(voted, key=lambda row: (row["messages"], row["response"], sorted(row["rating_ids"])))
    asked = [question_of(row) for row in (*candidates, *voted)]
    topics = near_duplicates.group(asked, lexicon).tolist() if asked else []
    of_candidate, of_vote = topics[: len(candidates)], topics[len(candidates) :]
    answers = gather(voted, of_vote)
    corrected = _told(candidates, of_candidate, "response", answers)
    right = _told(candidates, of_candidate, "correction", answers)
    dropped: Counter[str] = Counter()
    made = _corrections(candidates, of_candidate, supporters or {})
    made += vote_pairs(answers, lexicon, dropped)
    made += concise_pairs(answers, corrected, lexicon)
    considered = len(made) + dropped.total()
    made = _groups(_unlike(made, corrected, right, dropped), topics, asked, candidates, of_candidate, dropped)
    made = without_contradictions(made, dropped)
    kept = _distinct(made)
    capped = _within_share(kept, max_share_per_subject)
    if len(capped) < len(kept):
        dropped["subject_cap"] += len(kept) - len(capped)
    order = ("evidence", "candidate_id", "group_id", "chosen", "rejected", "pair_id")
    rows = sorted((pair.to_row() for pair in capped), key=lambda row: tuple(row[name] for name in order))
    return Mined(
        pairs=pa.Table.from_pylist(rows, schema=SCHEMA),
        rated=rated_table(_in_one_group(answers, topics, asked, candidates, of_candidate), corrected, right),
        considered=considered,
        duplicates=len(made) - len(kept),
        dropped=dict(sorted(dropped.items())),
    )


def _corrections(candidates: Sequence[Row], topics: Sequence[int], supporters: Supporters) -> list[Pair]:
    made = []
    for row, topic in zip(candidates, topics, strict=True):
        behind = dict(supporters.get((question_of(row), normal_form(row["correction"])), {}))
        subjects = frozenset({row["subject"], *behind})
        people = f"{len(subjects)} user{'s' if len(subjects) > 1 else ''}"
        made.append(
            Pair(
                topic=topic,
                prompt=prompt_of(row),
                chosen=row["correction"],
                rejected=row["response"],
                evidence=CORRECTION,
                because=f"{row['category'] or 'some'} correction by {people}, accepted",
                weight=row["confidence"],
                subjects=subjects,
                evidence_ids=frozenset(behind.values()) or frozenset({row["interaction_id"]}),
                at=row["timestamp"],
                candidate_id=row["candidate_id"],
                group_id=row["group_id"],
            )
        )
    return made


def _told(
    candidates: Sequence[Row], topics: Sequence[int], column: str, answers: Mapping[int, Sequence[Answer]]
) -> set[tuple[int, str]]:
    """(topic, normal form) of what candidates say in a column.

    A whole sentence counts for every question that got it as its answer: "The Borel 7 costs 5 euros." is out of date
    however one asks for it. A word or two, such as "yes", count for their own question only.
    """
    forms = [normal_form(row[column]) for row in candidates]
    anywhere = {form for form in forms if len(form.split()) >= _SENTENCE}
    elsewhere = {(topic, one.form) for topic, known in answers.items() for one in known if one.form in anywhere}
    return set(zip(topics, forms, strict=True)) | elsewhere


def _unlike(
    pairs: Sequence[Pair], corrected: set[tuple[int, str]], right: set[tuple[int, str]], dropped: Counter[str]
) -> list[Pair]:
    """Pairs of different texts that do not teach against an accepted correction."""
    kept = []
    for pair in pairs:
        if not pair.chosen.strip() or not pair.rejected.strip():
            dropped["blank"] += 1
        elif pair.chosen.split() == pair.rejected.split():
            dropped["same_text"] += 1
        elif pair.evidence != CORRECTION and (
            ((pair.topic, pair.better) in corrected and (pair.topic, pair.better) not in right)
            or ((pair.topic, pair.worse) in right and (pair.topic, pair.worse) not in corrected)
        ):
            dropped["contradicts_correction"] += 1
        else:
            kept.append(pair)
    return kept


def _group_of(
    topics: Sequence[int], asked: Sequence[Question], candidates: Sequence[Row], of_candidate: Sequence[int]
) -> dict[int, str]:
    """Topic -> its group: the candidates' where they have one, its own where they have none; absent between two."""
    taken: dict[int, set[str]] = defaultdict(set)
    for row, topic in zip(candidates, of_candidate, strict=True):
        taken[topic].add(row["group_id"])
    own: dict[int, str] = {}
    for topic, question in zip(topics, asked, strict=True):
        own[topic] = min(own.get(topic, "~"), row_id("group", *question))
    names = {topic: next(iter(taken[topic]), own[topic]) for topic in own if len(taken[topic]) < 2}
    return names


def _groups(
    pairs: Sequence[Pair],
    topics: Sequence[int],
    asked: Sequence[Question],
    candidates: Sequence[Row],
    of_candidate: Sequence[int],
    dropped: Counter[str],
) -> list[Pair]:
    names = _group_of(topics, asked, candidates, of_candidate)
    kept = []
    for pair in pairs:
        if not pair.group_id and pair.topic not in names:
            dropped["between_groups"] += 1
        else:
            kept.append(pair if pair.group_id else replace(pair, group_id=names[pair.topic]))
    return kept


def _in_one_group(
    answers: Mapping[int, Sequence[Answer]],
    topics: Sequence[int],
    asked: Sequence[Question],
    candidates: Sequence[Row],
    of_candidate: Sequence[int],
) -> list[tuple[int, str, Answer]]:
    """(topic, group, answer) of the answers that lie in one group."""
    names = _group_of(topics, asked, candidates, of_candidate)
    return [(topic, names[topic], answer) for topic in sorted(answers) if topic in names for answer in answers[topic]]


def _distinct(pairs: Sequence[Pair]) -> list[Pair]:
    """One pair per content; the strongest evidence names it, and the others' evidence is joined to it."""
    same: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        same[pair.pair_id].append(pair)
    kept = []
    for equal in same.values():
        first = min(equal, key=lambda pair: (-RANK[pair.evidence], -pair.weight, pair.candidate_id))
        kept.append(
            replace(
                first,
                subjects=frozenset().union(*(pair.subjects for pair in equal)),
                evidence_ids=frozenset().union(*(pair.evidence_ids for pair in equal)),
            )
        )
    return kept


def _within_share(pairs: Sequence[Pair], max_share: float) -> list[Pair]:
    """Leave out what one subject alone stands behind beyond its share, the latest first."""
    rows = [
        {
            "supporters": sorted(pair.subjects),
            "subject": min(pair.subjects, default=""),
            "timestamp": pair.at or _EVER,
            "interaction_id": pair.pair_id,
        }
        for pair in pairs
    ]
    out = over_cap(rows, max_share)
    return [pair for index, pair in enumerate(pairs) if index not in out]
