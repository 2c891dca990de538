"""Route candidates: accept, review or discard, each with a reason, under a stated error rate.

What people decided holds. Any other candidate is accepted when nothing speaks against it and its confidence reaches the
threshold of its category (`thresholds`); where nothing can be guaranteed, the category abstains and goes to review. A
random audit (`audit`) goes to people too; audited candidates that were accepted stay accepted until people say
otherwise: holding them back would take the best ones out of training, and the guarantee is about all that is accepted.
"""

import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flywheel.components.curation.guards import language, poison_guard, spam_filter
from flywheel.components.curation.guards.coalition import FALSE_SUPPORT, UNCONFIRMED, Audience
from flywheel.components.curation.guards.trusted_items import Trusted
from flywheel.components.curation.review import contents, human_word
from flywheel.components.curation.review.decisions import ACCEPT
from flywheel.components.curation.routing import audit
from flywheel.components.curation.routing.candidates import Decided, Names, Picked
from flywheel.components.curation.routing.thresholds import FALSE_ALARMS, Calibration, CategoryThreshold, thresholds
from flywheel.components.store.tables import row_id

_DECIDED = {
    "accept": ("accept", ""),
    "reject": ("discard", human_word.REJECTED),
    "tie": ("review", human_word.TIE),
}


@dataclass(frozen=True)
class Routed:
    """What routing decided.

    Attributes:
        rows: The rows with candidate_id, language, route and reason, in the order given.
        thresholds: Choice per category.
        audit: Ids of accepted candidates in the random audit: people should look at them all the same.
        error_rate: What the routing promises, in words and numbers.
        inspection: What the poison guard saw, conflicts with both sides among it.
        asked: Of every claim that is `unconfirmed` the id of one candidate, drawn at random, and how many users make
            the claim: a person's word on it settles the other rows, which say the same.
    """

    rows: Decided
    thresholds: dict[str, CategoryThreshold]
    audit: list[str]
    error_rate: str
    inspection: poison_guard.Inspection
    asked: dict[str, int]

    def routes(self) -> dict[str, int]:
        """Rows by route."""
        counts = Counter(self.rows.route)
        return {route: counts[route] for route in ("accept", "review", "discard")}

    def reasons(self, route: str | None = None) -> dict[str, int]:
        """Rows by reason, the most frequent first."""
        decided = zip(self.rows.route, self.rows.reason, strict=True)
        counts = Counter(reason for to, reason in decided if reason and route in (None, to))
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def route(
    rows: Sequence[Mapping[str, Any]],
    calibration: Calibration,
    run_id: str,
    median_activity: float,
    target: float = 0.9,
    confidence: float = 0.9,
    max_share: float = 0.02,
    trusted: Trusted | None = None,
    audience: Audience | None = None,
) -> Routed:
    """Decide on every row.

    Rows are looked at one after the other, and no more than one is held: they may lie on disk (`candidates`).

    Args:
        rows: Classified rows (`deduplication.SCHEMA` with category and confidence); optionally `decided`, what people
            said (`review.human_word`), `held`, why the classifier has no confidence to offer, and `content`.
        calibration: Out-of-fold predictions on labelled and audited rows.
        run_id: Run; part of a candidate's id.
        median_activity: Median number of interactions of the users of the log.
        target: Precision of the category among accepted rows, in (0, 1).
        confidence: Confidence of that promise over all categories together, in (0, 1).
        max_share: Greatest share of accepted rows that one subject alone may stand behind.
        trusted: Answers that people vouch for (`trusted_items.trusted_of`); corrections against them go to review.
        audience: Who uses what the log shows; None: no coalition of users is feared.

    Raises:
        ValueError: A parameter is out of range.
    """
    chosen = thresholds(calibration, target, confidence)
    made = Decided(rows)
    undecided, confirmed = _read(made, run_id)
    clean = array("q", (index for index in undecided if made.route[index] == "accept"))
    names = Names(made, clean)
    inspection = poison_guard.examine(Picked(made, clean), median_activity, trusted, names, audience, confirmed)
    for place, finding in inspection.findings.items():
        made.settle(clean[place], finding.route, finding.reason)
    for index, reason in human_word.against(made).items():
        if made.route[index] == "accept" or made.reason[index] == UNCONFIRMED:
            made.settle(index, "review", reason)
    for index in clean:
        if made.route[index] == "accept":
            reason = _unsure(rows[index], chosen)
            made.settle(index, "review" if reason else "accept", reason)
    accepted = array("q", (index for index in clean if made.route[index] == "accept"))
    for place in poison_guard.over_cap(Picked(made, accepted), max_share):
        made.settle(accepted[place], "review", "subject_cap")
    drawn = [undecided[place] for place in audit.sample(Picked(made, undecided), made.chance[undecided])]
    audited = sorted(made.id(index) for index in drawn if made.route[index] == "accept")
    promise = _promise(chosen, target, confidence, audience)
    waiting = [[clean[place] for place in places] for places in inspection.unconfirmed.values()]
    asked = [_drawn(made, indices) for indices in waiting if made.reason[indices[0]] == UNCONFIRMED]
    return Routed(made, chosen, audited, promise, inspection, dict(sorted(asked)))


def _read(made: Decided, run_id: str) -> tuple["array[int]", set[tuple[str, tuple[str, ...]]]]:
    """Look at the texts of every row, once: name it, tell its language, decide on it as far as it alone can tell.

    Returns:
        Indices of the rows that no person decided on; questions and claims that people accepted.
    """
    undecided = array("q")
    confirmed = set()
    for index, row in enumerate(made.rows):
        prompt, response, correction = row["prompt"], row["response"], row["correction"]
        made.name(row_id(run_id, row["interaction_id"], correction))
        given, decided = row.get("language") or "", row.get("decided")
        made.language[index] = sys.intern(given or language.identify(prompt, response))
        if decided:
            made.settle(index, *_DECIDED[decided])
            if decided == ACCEPT:
                confirmed.add((row["question_id"], tuple(row["claim"])))
            continue
        undecided.append(index)
        made.chance[index] = audit.chance(row.get("content") or contents.of_row(row))
        verdict = spam_filter.judge(prompt, response, correction) or language.judge(prompt, response, correction, given)
        if verdict:
            made.settle(index, verdict.route, verdict.reason)
    return undecided, confirmed


def _drawn(made: Decided, indices: Iterable[int]) -> tuple[str, int]:
    """One of the candidates that make a claim, by chance and always the same, and the number of users behind all."""
    rows = {index: made.rows[index] for index in indices}
    first = min(rows, key=lambda index: (made.chance[index], rows[index]["interaction_id"]))
    return made.id(first), len({subject for row in rows.values() for subject in row["supporters"]})


def _unsure(row: Mapping[str, Any], chosen: Mapping[str, CategoryThreshold]) -> str:
    """Why the classifier's word on a row is not enough; "" when it is."""
    if row.get("held"):
        return str(row["held"])
    known = chosen[row["category"]]
    if known.threshold is None:
        return "audit_failed" if known.closed_by_audit else "no_threshold"
    return "low_confidence" if row["confidence"] < known.threshold else ""


def _promise(
    chosen: Mapping[str, CategoryThreshold], target: float, confidence: float, audience: Audience | None
) -> str:
    abstain = [category for category, known in chosen.items() if known.threshold is None]
    closed = [category for category, known in chosen.items() if known.closed_by_audit]
    words = (
        f"With confidence {confidence:.2f}, at least {target:.0%} of the auto-accepted corrections of every category "
        "are in the right category, for corrections like the labelled and audited ones; whether a correction is "
        "true is part of the promise only as far as it rests on people's answers to the audit. "
        f"Alarms of groups are false in at most {2 * poison_guard.FALSE_ALARMS:.0%} of logs; a category as good as "
        f"promised is closed by its audit in at most {FALSE_ALARMS:.0%} of runs. "
        f"Of every category {audit.SHARE:.0%}, and at least {audit.LEAST}, are drawn at random for people to look at."
    )
    if audience and audience.coalition():
        words += (
            f" No {audience.coalition()} users ({audience.share:.1%} of all) can have made an accepted factual claim "
            "alone, unless the silence of others spoke for it, which it does by chance for at most "
            f"{FALSE_SUPPORT:.0%} of the claims about right answers."
        )
    if abstain:
        words += f" No threshold could be guaranteed for {', '.join(abstain)}: all of it goes to review."
    if closed:
        words += f" People's answers to the audit contradict what was promised of {', '.join(closed)}."
    return words
