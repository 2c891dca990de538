"""Guard the training data against users who push an answer: coordination, contradiction, influence.

Three rules, each with its assumption. None of them knows the truth: a wrong correction that many independent users with
a long history give over days passes here, and is for the evaluation and the canary to catch.

* coordinated: one claim is pushed within a short window by users who do hardly anything else. Null model: supporters of
  a claim are drawn independently from all correctors, of whom a known share has so little activity. The exact binomial
  test at level `FALSE_ALARMS`, divided by the number of windows looked at, keeps the chance of any false alarm in a log
  below `FALSE_ALARMS` as long as users correct independently of how active they are.
* contradicted / conflicting: of several answers to one question the one wins that more than twice as many distinct
  users with a history stand behind as behind all others together, later up-votes of the original answer counting for
  it. If each user is independently right with probability q, a wrong answer beats the right one only when more than two
  thirds err, and all of them alike: for q = 0.8 and 6 voters less than 2 %.
* subject_cap: no single user stands behind more than a share of what is accepted.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flywheel.components.curation.texts.claims import Claim, agree

FALSE_ALARMS = 0.01
WINDOW = timedelta(hours=48)
SMALLEST_GROUP = 4
LEAST_ROWS_PER_SUBJECT = 5

Row = Mapping[str, Any]  # a classified row: question_id, claim, category, supporters, ...


@dataclass(frozen=True)
class Finding:
    """What the guard found against a row."""

    route: str  # discard or review
    reason: str


@dataclass
class _Support:
    """Who stands behind a claim: first time, corrections for it, interactions in the whole log."""

    at: dict[str, datetime]
    records: Counter[str]
    activity: dict[str, int]

    def other_activity(self, subject: str) -> int:
        return self.activity[subject] - self.records[subject]


def inspect(rows: Sequence[Row], median_activity: float) -> dict[int, Finding]:
    """Find coordinated, contradicted and conflicting rows.

    Args:
        rows: Rows that the spam filter let pass.
        median_activity: Median number of interactions of the users of the log.

    Returns:
        Findings by row index; rows without a finding are absent.
    """
    claims = _claims(rows)
    findings = _coordinated(rows, claims, median_activity)
    findings |= _contradictions(rows, claims, median_activity, findings)
    return findings


def over_cap(rows: Sequence[Row], max_share: float) -> set[int]:
    """Rows beyond a single subject's share of the accepted rows.

    Rows that a second user supports do not count against anybody. The rows that stay are those with the earliest time.

    Args:
        rows: Accepted rows.
        max_share: Greatest share of one subject, in (0, 1]; `LEAST_ROWS_PER_SUBJECT` rows are always allowed.

    Returns:
        Indices of the rows to take out.

    Raises:
        ValueError: `max_share` is out of range.
    """
    if not 0 < max_share <= 1:
        raise ValueError(f"max_share_per_subject must lie in (0, 1], got {max_share}")
    mine: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        if len(row["supporters"]) == 1:
            mine[row["subject"]].append(index)
    shared = len(rows) - sum(map(len, mine.values()))
    cap, before = len(rows), -1
    while cap != before:  # taking rows out lowers the total, which lowers the cap: down to the fixed point
        total = shared + sum(min(len(indices), cap) for indices in mine.values())
        before, cap = cap, min(cap, max(LEAST_ROWS_PER_SUBJECT, int(max_share * total)))
    out: set[int] = set()
    for indices in mine.values():
        ordered = sorted(indices, key=lambda i: (rows[i]["timestamp"], rows[i]["interaction_id"]))
        out.update(ordered[cap:])
    return out


def _claims(rows: Sequence[Row]) -> dict[int, tuple[str, Claim]]:
    """The question and claim of each factual row; claims that agree with a shorter one of the question become it."""
    heard: dict[str, Counter[Claim]] = defaultdict(Counter)
    for row in rows:
        if row["category"] == "factual" and row["claim"]:
            heard[row["question_id"]][tuple(row["claim"])] += row["support"]
    canonical: dict[tuple[str, Claim], Claim] = {}
    for question, counts in heard.items():
        chosen: list[Claim] = []
        for claim in sorted(counts, key=lambda claim: (-counts[claim], len(claim), claim)):
            canonical[question, claim] = next((known for known in chosen if agree(known, claim)), claim)
            chosen.append(canonical[question, claim])
    return {
        index: (row["question_id"], canonical[row["question_id"], tuple(row["claim"])])
        for index, row in enumerate(rows)
        if row["category"] == "factual" and row["claim"]
    }


def _support(rows: Sequence[Row], indices: Sequence[int]) -> _Support:
    support = _Support({}, Counter(), {})
    for index in indices:
        row = rows[index]
        columns = ("supporters", "supported_at", "supporter_records", "supporter_activity")
        for subject, at, records, activity in zip(*(row[name] for name in columns), strict=True):
            support.at[subject] = min(support.at.get(subject, at), at)
            support.records[subject] += records
            support.activity[subject] = activity
    return support


def _coordinated(
    rows: Sequence[Row], claims: Mapping[int, tuple[str, Claim]], median_activity: float
) -> dict[int, Finding]:
    from scipy.special import bdtrc

    if median_activity < 2:  # nobody has a history: a group of fresh accounts cannot be told from honest users
        return {}
    low = max(1, int(median_activity // 5))
    members: dict[tuple[str, Claim], list[int]] = defaultdict(list)
    for index, key in claims.items():
        members[key].append(index)
    supports = {key: _support(rows, indices) for key, indices in members.items()}
    idle: dict[tuple[str, Claim], set[str]] = {
        key: {subject for subject in support.at if support.other_activity(subject) <= low}
        for key, support in supports.items()
    }
    looks = sum(len(support.at) for support in supports.values())
    findings: dict[int, Finding] = {}
    for key, support in supports.items():
        if len(idle[key]) < SMALLEST_GROUP:
            continue
        others: dict[str, bool] = {}
        for other, theirs in supports.items():
            if other != key:
                for subject in theirs.at.keys() - support.at.keys():
                    others[subject] = others.get(subject, True) and subject in idle[other]
        share = (sum(others.values()) + 1) / (len(others) + 2)
        times = sorted(support.at.items(), key=lambda item: (item[1], item[0]))
        caught: set[str] = set()
        for position, (_, start) in enumerate(times):
            within = [subject for subject, at in times[position:] if at - start <= WINDOW]
            fresh = [subject for subject in within if subject in idle[key]]
            if len(fresh) >= SMALLEST_GROUP and bdtrc(len(fresh) - 1, len(within), share) <= FALSE_ALARMS / looks:
                caught.update(fresh)
        for index in members[key] if caught else ():
            honest = set(rows[index]["supporters"]) - caught
            findings[index] = Finding("review" if honest else "discard", "coordinated")
    return findings


def _contradictions(
    rows: Sequence[Row],
    claims: Mapping[int, tuple[str, Claim]],
    median_activity: float,
    already: Mapping[int, Finding],
) -> dict[int, Finding]:
    history = min(3, int(median_activity // 2))
    questions: dict[str, dict[Claim, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, (question, claim) in claims.items():
        if index not in already:
            questions[question][claim].append(index)
    findings: dict[int, Finding] = {}
    for answers in questions.values():
        votes: dict[Claim | None, int] = {}
        for claim, indices in answers.items():
            support = _support(rows, indices)
            votes[claim] = sum(support.other_activity(subject) >= history for subject in support.at)
        votes[None] = len(
            {subject for indices in answers.values() for i in indices for subject in rows[i]["endorsers"]}
        )
        if len(answers) == 1 and votes[None] == 0:
            continue
        best = max(votes, key=lambda claim: (votes[claim], claim is not None, claim or ()))
        clear = votes[best] >= 2 and votes[best] > 2 * (sum(votes.values()) - votes[best])
        for claim, indices in answers.items():
            if clear and claim == best:
                continue
            finding = Finding("discard", "contradicted") if clear else Finding("review", "conflicting")
            findings.update(dict.fromkeys(indices, finding))
    return findings
