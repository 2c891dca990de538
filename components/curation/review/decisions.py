"""What the reviewers of a content decided together: the majority; a tie needs one more reviewer.

A reviewer's newest answer counts. The verdict is what more reviewers say; the category and the text are what most of
those who accept say. Where two are level, nothing is decided.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ACCEPT, REJECT, WITHDRAWN, REQUESTED = "accept", "reject", "withdrawn", "requested"
VERDICTS = (ACCEPT, REJECT)


@dataclass(frozen=True)
class Answer:
    """One reviewer's word on a content.

    Attributes:
        content: What it is about (`contents.content_id`).
        reviewer: Pseudonym.
        at: When it was given.
        verdict: accept, reject or withdrawn.
        category: What the correction corrects.
        correction: The reviewer's own wording; None: as it was.
        review_id: Row of the table `reviews`; settles ties in time.
    """

    content: str
    reviewer: str
    at: datetime
    verdict: str
    category: str
    correction: str | None = None
    review_id: str = ""


@dataclass(frozen=True)
class Decision:
    """What holds for a content.

    Attributes:
        verdict: accept, reject, or tie.
        category: "" unless accepted.
        correction: The reviewers' wording; None: as it was.
        reviewers: How many answered.
        at: Newest answer.
    """

    verdict: Literal["accept", "reject", "tie"]
    category: str
    correction: str | None
    reviewers: int
    at: datetime


def standing(answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    """Each reviewer's newest answer, unless withdrawn: by content, in order of the reviewers."""
    newest: dict[tuple[str, str], Answer] = {}
    for answer in sorted(answers, key=lambda answer: (answer.at, answer.review_id)):
        newest[answer.content, answer.reviewer] = answer
    found: dict[str, list[Answer]] = defaultdict(list)
    for (content, _), answer in sorted(newest.items()):
        if answer.verdict != WITHDRAWN:
            found[content].append(answer)
    return dict(found)


def decide(answers: Iterable[Answer]) -> dict[str, Decision]:
    """The decision on each content that somebody answered for."""
    return {content: _of(given) for content, given in standing(answers).items()}


def follow(decisions: Mapping[str, Decision], content: str, edited: Mapping[str, str]) -> Decision | None:
    """The decision on a content, or on what reviewers later made of their own wording of it.

    Args:
        decisions: By content.
        content: Where to start.
        edited: Content of the reviewers' wording, by the content that it replaces.

    Returns:
        The last decision of the chain with the last wording in it; None without a decision on `content`.
    """
    decision, text, seen = decisions.get(content), None, {content}
    while decision is not None and decision.verdict == ACCEPT and decision.correction is not None:
        text = decision.correction
        content = edited[content]
        later = decisions.get(content)
        if later is None or content in seen:
            break
        seen.add(content)
        decision = later
    if decision is None or decision.verdict != ACCEPT or decision.correction is not None:
        return decision
    return Decision(ACCEPT, decision.category, text, decision.reviewers, decision.at)


def _of(answers: Sequence[Answer]) -> Decision:
    count, at = len(answers), max(answer.at for answer in answers)
    tie = Decision("tie", "", None, count, at)
    verdict = _majority(answer.verdict for answer in answers)
    if verdict is None:
        return tie
    if verdict == REJECT:
        return Decision("reject", "", None, count, at)
    accepting = [answer for answer in answers if answer.verdict == ACCEPT]
    category = _majority(answer.category for answer in accepting)
    text = _majority((answer.correction or "").strip() for answer in accepting)
    if category is None or text is None:
        return tie
    return Decision("accept", category, text or None, count, at)


def _majority(values: Iterable[str]) -> str | None:
    """The most frequent value; None when two are level."""
    ranked = Counter(values).most_common(2)
    return None if len(ranked) == 2 and ranked[0][1] == ranked[1][1] else ranked[0][0]
