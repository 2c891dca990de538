"""Who stands behind which claim: the factual rows of a log, sorted by question and by what they say."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flywheel.components.curation.texts.claims import Claim, agree

Row = Mapping[str, Any]  # a classified row: question_id, claim, category, supporters, ...
Key = tuple[str, Claim]  # question and what is said about it


@dataclass
class Support:
    """The rows that make one claim, and the users behind them.

    Attributes:
        rows: Indices of the rows.
        at: First time of each supporter.
        records: Corrections of each supporter for this claim.
        activity: Interactions of each supporter in the whole log.
        endorsers: Users who up-voted the corrected answer after the correction.
        askers: Users who corrected the question or got its answer since the claim was first made.
        silent_since: Users who got the answer after the claim was last made, and corrected nothing.
    """

    rows: list[int] = field(default_factory=list)
    at: dict[str, datetime] = field(default_factory=dict)
    records: Counter[str] = field(default_factory=Counter)
    activity: dict[str, int] = field(default_factory=dict)
    endorsers: set[str] = field(default_factory=set)
    askers: int = 0
    silent_since: int | None = None

    def other_activity(self, subject: str) -> int:
        """Interactions of a supporter besides pushing this claim."""
        return self.activity[subject] - self.records[subject]

    def add(self, index: int, row: Row) -> None:
        """Count a row."""
        self.rows.append(index)
        columns = ("supporters", "supported_at", "supporter_records", "supporter_activity")
        for subject, at, records, activity in zip(*(row[name] for name in columns), strict=True):
            self.at[subject] = min(self.at.get(subject, at), at)
            self.records[subject] += records
            self.activity[subject] = activity
        self.endorsers.update(row["endorsers"])
        self.askers = max(self.askers, row["askers"], len(self.at))
        later = row["silent_since"]
        self.silent_since = later if self.silent_since is None else min(self.silent_since, later)


def claims_of(rows: Sequence[Row]) -> dict[int, Key]:
    """The question and claim of each factual row; claims that agree with a shorter one of the question become it."""
    heard: dict[str, Counter[Claim]] = defaultdict(Counter)
    factual = {index: row for index, row in enumerate(rows) if row["category"] == "factual" and row["claim"]}
    for row in factual.values():
        heard[row["question_id"]][tuple(row["claim"])] += row["support"]
    canonical: dict[Key, Claim] = {}
    for question, counts in heard.items():
        chosen: list[Claim] = []
        for claim in sorted(counts, key=lambda claim: (-counts[claim], len(claim), claim)):
            canonical[question, claim] = next((known for known in chosen if agree(known, claim)), claim)
            chosen.append(canonical[question, claim])
    return {
        index: (row["question_id"], canonical[row["question_id"], tuple(row["claim"])])
        for index, row in factual.items()
    }


def supports_of(rows: Sequence[Row], claims: Mapping[int, Key]) -> dict[Key, Support]:
    """The support of every claim."""
    found: dict[Key, Support] = defaultdict(Support)
    for index, key in claims.items():
        found[key].add(index, rows[index])
    return dict(found)


def by_question(supports: Mapping[Key, Support], without: Iterable[Key] = ()) -> dict[str, dict[Claim, Support]]:
    """The claims of each question, without some."""
    left_out = set(without)
    questions: dict[str, dict[Claim, Support]] = defaultdict(dict)
    for (question, claim), support in supports.items():
        if (question, claim) not in left_out:
            questions[question][claim] = support
    return dict(questions)
