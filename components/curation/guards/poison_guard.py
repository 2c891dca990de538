"""Guard the training data against users who push an answer.

Each finding has a reason and an error rate that a simulation checks (tests/simulation/test_poison_guard.py). What is
shown to be pushed by idle accounts or outvoted is discarded; all other doubt goes to people.

* contradicts_trusted, distrusted_subject: against golden items and reviewed answers (`trusted_items`).
* coordinated, pushed: a group speaks (`coordination`); a false alarm in at most `FALSE_ALARMS` of logs each.
* contradicted, conflicting: several answers to one question (`contradictions`).
* uncorroborated: the claim is an error with probability above `MAX_ERROR`, given how many of those who got the answer
  say the same (`corroboration`).
* no_history: nobody behind the claim has done anything else.
* unconfirmed: as few users say it as may have agreed to lie, and nobody else's silence speaks for it (`coalition`).
* subject_cap: no single user stands behind more than a share of what is accepted.

What it cannot know: a wrong claim of more users than `coalition.SHARE` of all, who behave as others do, passes where
no trusted item covers it and no other user contradicts it. The evaluation and the canary must catch it.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flywheel.components.curation.guards import contradictions, coordination, corroboration, trusted_items
from flywheel.components.curation.guards.claim_support import Key, Row, Support, by_question, claims_of, supports_of
from flywheel.components.curation.guards.coalition import UNCONFIRMED, Audience
from flywheel.components.curation.guards.trusted_items import Trusted
from flywheel.components.curation.texts.claims import Claim, agree

FALSE_ALARMS = coordination.FALSE_ALARMS
MAX_ERROR = 0.1
LEAST_ROWS_PER_SUBJECT = 5


@dataclass(frozen=True)
class Finding:
    """What the guard found against a row."""

    route: str  # discard or review
    reason: str


@dataclass
class Inspection:
    """What the guard found.

    Attributes:
        findings: By row index; rows without a finding are absent.
        conflicts: Questions that people must decide, with both sides (`contradictions.sides`).
        law: How the users of this log make claims; None when it shows too little.
        unconfirmed: Claims that wait for one person's word each, with the indices of their rows.
        trusted_agreeing: Rows that say what a trusted item says.
        trusted_contradicting: Rows that contradict one.
    """

    findings: dict[int, Finding]
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    law: corroboration.Corroboration | None = None
    unconfirmed: dict[Key, list[int]] = field(default_factory=dict)
    trusted_agreeing: int = 0
    trusted_contradicting: int = 0


def inspect(
    rows: Sequence[Row], median_activity: float, trusted: Trusted | None = None, audience: Audience | None = None
) -> dict[int, Finding]:
    """Find the rows that something speaks against; `examine` without what it saw besides.

    Args:
        rows: Rows that the spam filter let pass.
        median_activity: Median number of interactions of the users of the log.
        trusted: Answers that people vouch for, from `trusted_items.trusted_of`.
        audience: Who uses what the log shows.

    Returns:
        Findings by row index; rows without a finding are absent.
    """
    return examine(rows, median_activity, trusted, audience=audience).findings


def examine(
    rows: Sequence[Row],
    median_activity: float,
    trusted: Trusted | None = None,
    ids: Sequence[str] | None = None,
    audience: Audience | None = None,
    confirmed: Collection[Key] = (),
) -> Inspection:
    """Find the rows that something speaks against, and say what was seen.

    Args:
        rows: Rows that the spam filter let pass.
        median_activity: Median number of interactions of the users of the log.
        trusted: Answers that people vouch for, from `trusted_items.trusted_of`.
        ids: A name for each row in the conflicts, such as its candidate id; by default its interaction id.
        audience: Who uses what the log shows; None: no coalition is feared, and no claim is `unconfirmed`.
        confirmed: Questions and claims that people accepted; all rows that say the same are vouched for.
    """
    names = ids if ids is not None else [row["interaction_id"] for row in rows]
    claims = claims_of(rows)
    supports = supports_of(rows, claims)
    limit = coordination.idle_limit(median_activity)
    idle = {key: coordination.idle_supporters(support, limit) for key, support in supports.items()}
    heard = [(len(support.at) - len(idle[key]), support.askers - len(idle[key])) for key, support in supports.items()]
    law = corroboration.fit([pair for pair in heard if pair[0] > 0])
    checked = trusted_items.check(rows, trusted or {})
    findings: dict[int, Finding] = {}
    vouched = {claims[index] for index in checked.agreeing if index in claims}
    accepted: dict[str, list[Claim]] = defaultdict(list)
    for question, claim in confirmed:
        accepted[question].append(claim)
    vouched |= {key for key in supports if any(claim and agree(claim, key[1]) for claim in accepted.get(key[0], ()))}
    settled = _coordinated(rows, supports, median_activity, law, findings, vouched)
    for index in checked.contradicting:
        findings.setdefault(index, Finding("review", "contradicts_trusted"))
    conflicts = _contradictions(rows, supports, median_activity, findings, settled | vouched, names)
    _doubts(rows, supports, idle, law, findings, checked.distrusted, vouched)
    waiting = _unconfirmed(supports, idle, findings, checked.distrusted, vouched, audience) if audience else {}
    return Inspection(findings, conflicts, law, waiting, len(checked.agreeing), len(checked.contradicting))


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


def _coordinated(
    rows: Sequence[Row],
    supports: Mapping[Key, Support],
    median_activity: float,
    law: corroboration.Corroboration | None,
    findings: dict[int, Finding],
    vouched: set[Key],
) -> set[Key]:
    """Note what groups push; returns these claims, which have no vote any more."""
    caught = coordination.by_idle_accounts(supports, median_activity)
    for key, accounts in caught.items():
        for index in supports[key].rows:
            honest = set(rows[index]["supporters"]) - accounts
            findings.setdefault(index, Finding("review" if honest else "discard", "coordinated"))
    pushed = coordination.pushed(supports, law) - caught.keys() - vouched
    for key in pushed:
        for index in supports[key].rows:
            findings.setdefault(index, Finding("review", "pushed"))
    return caught.keys() | pushed


def _contradictions(
    rows: Sequence[Row],
    supports: Mapping[Key, Support],
    median_activity: float,
    findings: dict[int, Finding],
    settled: set[Key],
    names: Sequence[str],
) -> list[dict[str, Any]]:
    conflicts = []
    for question, answers in by_question(supports, settled).items():
        votes = contradictions.votes_of(answers, median_activity)
        if not contradictions.contested(votes):
            continue
        best, clear = contradictions.winner(votes)
        if not clear:
            conflicts.append(contradictions.sides(question, answers, votes, rows, names))
        for claim, support in answers.items():
            if clear and claim == best:
                continue
            for index in support.rows:
                findings.setdefault(
                    index, Finding("discard", "contradicted") if clear else Finding("review", "conflicting")
                )
    return conflicts


def _doubts(
    rows: Sequence[Row],
    supports: Mapping[Key, Support],
    idle: Mapping[Key, set[str]],
    law: corroboration.Corroboration | None,
    findings: dict[int, Finding],
    distrusted: set[str],
    vouched: set[Key],
) -> None:
    """Note the claims that too few stand behind, or only users who are not to be believed."""
    for key, support in supports.items():
        believed = support.at.keys() - distrusted - idle[key]
        askers = support.askers - len(support.at) + len(believed)
        reason = ""
        if key in vouched:
            continue
        if not believed:
            reason = "distrusted_subject" if support.at.keys() <= distrusted else "no_history"
        elif law is not None and law.error_probability(len(believed), askers) > MAX_ERROR:
            reason = "uncorroborated"
        for index in support.rows if reason else ():
            findings.setdefault(index, Finding("review", reason))
    for index, row in enumerate(rows):
        if distrusted and set(row["supporters"]) <= distrusted:
            findings.setdefault(index, Finding("review", "distrusted_subject"))


def _unconfirmed(
    supports: Mapping[Key, Support],
    idle: Mapping[Key, set[str]],
    findings: dict[int, Finding],
    distrusted: set[str],
    vouched: set[Key],
    audience: Audience,
) -> dict[Key, list[int]]:
    """Note the claims that nothing else speaks against and that a coalition could have made alone."""
    waiting: dict[Key, list[int]] = {}
    for question, answers in by_question(supports).items():
        correctors: set[str] = set().union(*(support.at for support in answers.values()))
        for claim, support in answers.items():
            if (question, claim) in vouched:
                continue
            believed = support.at.keys() - distrusted - idle[question, claim]
            silent, endorsers = support.askers - len(correctors), support.endorsers - correctors
            if audience.confirms(len(believed), len(support.at), silent, len(endorsers)):
                continue
            open_ = [index for index in support.rows if index not in findings]
            if open_:
                waiting[question, claim] = open_
            findings.update(dict.fromkeys(open_, Finding("review", UNCONFIRMED)))
    return waiting
