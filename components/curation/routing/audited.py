"""Reviews as labels: they train the classifier, and those of the random audit calibrate it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flywheel.components.curation.review import contents
from flywheel.components.curation.review.decisions import ACCEPT, REJECT
from flywheel.components.curation.review.reviewed import Reviewed

Edit = dict[str, Any]


@dataclass(frozen=True)
class ReviewLabels:
    """What people's decisions teach.

    Attributes:
        labels: Accepted corrections with the category that people gave; only audited ones calibrate.
        rejected: Audited corrections that people rejected: whatever the model says of them is wrong.
    """

    labels: list[Edit]
    rejected: list[Edit]


def review_labels(reviewed: Reviewed, rows: Sequence[Mapping[str, Any]]) -> ReviewLabels:
    """Make labels of the decisions on the users' own wordings.

    Args:
        reviewed: What people said.
        rows: The run's corrections, for their comments, which the table of candidates does not hold.
    """
    present = {contents.of_row(row): row for row in rows}
    labels: list[Edit] = []
    rejected: list[Edit] = []
    for content, decision in sorted(reviewed.decisions.items()):
        row = present.get(content) or reviewed.candidates[content]
        audited = content in reviewed.audited
        edit: Edit = {name: row[name] for name in ("prompt", "response", "correction")}
        edit |= {"comment": row.get("comment") or "", "audited_at": decision.at.isoformat() if audited else ""}
        if decision.verdict == ACCEPT:
            edit |= {"category": decision.category, "calibrates": audited, "edited": decision.correction is not None}
            labels.append(edit)
        elif decision.verdict == REJECT and audited:
            rejected.append(edit)
    return ReviewLabels(labels, rejected)
