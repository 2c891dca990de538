"""What people say about a part of the answers: the labels that correct a judge.

A label file holds one JSON object per line: `item_id` with either `production` and `candidate` (0 or 1: was the answer
helpful?) or `preferred` (candidate, production or tie). The labelled items must be a random part of the judged ones,
or nothing corrects anything; `label_sheet` draws such a part and writes the lines to fill in. Its lines carry the
`answers` digest, so that labels of yesterday's candidate are not taken for today's.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.contracts.document import Document
from flywheel.components.evaluation.scores.score_lines import Preference, ScoreLine
from flywheel.components.statistics.prediction_powered import MIN_HUMAN

_SHARES: dict[Preference, tuple[float, float]] = {
    "candidate": (1.0, 0.0),
    "production": (0.0, 1.0),
    "tie": (0.5, 0.5),
}


class HumanLabel(Document):
    """One line of a label file; the fields of a label sheet that only inform the reader may stay in it."""

    item_id: str = Field(min_length=1)
    production: Literal[0, 1] | None = None
    candidate: Literal[0, 1] | None = None
    preferred: Preference | None = None
    answers: str = ""  # digest of both answers; empty: not checked
    question: str = ""
    production_answer: str = ""
    candidate_answer: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> "HumanLabel":
        absolute = (self.production is not None) + (self.candidate is not None)
        if absolute == 1:
            raise ValueError("label both answers: production and candidate, each 0 or 1")
        if not absolute and self.preferred is None:
            raise ValueError("the label is empty: give production and candidate (0 or 1), or preferred")
        if absolute and self.preferred is not None:
            better = {1: "candidate", -1: "production"}.get((self.candidate or 0) - (self.production or 0))
            if better and self.preferred != better:
                raise ValueError(
                    f"contradictory: preferred is {self.preferred}, but production is {self.production} and candidate "
                    f"{self.candidate}"
                )
        return self

    @property
    def scores(self) -> tuple[float, float]:
        """Scores of (candidate, production) in [0, 1]; a preference counts as 1, 0 or a half."""
        if self.production is not None and self.candidate is not None:
            return float(self.candidate), float(self.production)
        return _SHARES[self.preferred or "tie"]


@dataclass(frozen=True)
class HumanLabels:
    """A label file that fits the scores.

    Attributes:
        scores: Scores of (candidate, production) by item id.
        digest: SHA-256 of the file.
    """

    scores: dict[str, tuple[float, float]]
    digest: str


def read_labels(path: str | Path, judged: Sequence[ScoreLine]) -> HumanLabels:
    """Read a label file strictly: nothing is skipped and nothing is guessed.

    Args:
        path: JSON-lines file; blank lines are skipped.
        judged: Score lines of the items that a judge judges.

    Returns:
        The labels.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is no label, is about an unknown item or about other answers, two lines are about one item,
            absolute labels and preferences are mixed, or there are fewer than 10 labels. The message names the line.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"no human labels at {source}")
    raw = source.read_bytes()
    known = {line.item_id: line for line in judged}
    labels: dict[str, HumanLabel] = {}
    lines: dict[str, int] = {}
    for number, text in enumerate(raw.split(b"\n"), 1):
        if not text.strip():
            continue
        where = f"{source} line {number}"
        label = _label(text, where)
        if label.item_id not in known:
            raise ValueError(f"{where}: {label.item_id!r} is no judged item of these scores")
        if label.item_id in labels:
            same = labels[label.item_id].scores == label.scores
            how = "was labelled" if same else "was labelled otherwise (contradictory)"
            raise ValueError(
                f"{where}: {label.item_id!r} {how} on line {lines[label.item_id]}; keep one label per item"
            )
        if label.answers and label.answers != answers_digest(known[label.item_id]):
            raise ValueError(
                f"{where}: the label of {label.item_id!r} is about other answers than those of these scores; "
                "draw a new label sheet from the scores and label that"
            )
        labels[label.item_id], lines[label.item_id] = label, number
    if len(labels) < MIN_HUMAN:
        raise ValueError(f"{source} holds {len(labels)} labels; at least {MIN_HUMAN} are needed to correct a judge")
    kinds = {label.production is None for label in labels.values()}
    if len(kinds) > 1:
        raise ValueError(f"{source} mixes labels of 0 and 1 with preferences; use one kind, they have different scales")
    return HumanLabels({name: label.scores for name, label in labels.items()}, hashlib.sha256(raw).hexdigest())


def label_sheet(
    judged: Sequence[ScoreLine], items: Mapping[str, EvaluationItem], count: int, seed: int
) -> list[dict[str, str | None]]:
    """Draw a random part of the judged items for people to label.

    Whole clusters are drawn, since labels of a part of a cluster would lean on its other part.

    Args:
        judged: Score lines of the items that a judge judges.
        items: Evaluation items by id, for the questions.
        count: Items wanted; a few more are drawn when the last cluster is larger.
        seed: The same seed draws the same part.

    Returns:
        Lines of a label file with `production` and `candidate` still to fill in (0 or 1).

    Raises:
        ValueError: `count` is too small to correct a judge, or there are not that many items.
    """
    if not MIN_HUMAN <= count <= len(judged):
        raise ValueError(f"label between {MIN_HUMAN} and {len(judged)} items (all there are), not {count}")
    clusters: dict[str, list[ScoreLine]] = defaultdict(list)
    for line in judged:
        clusters[line.cluster].append(line)
    drawn: list[ScoreLine] = []
    for name in sorted(clusters, key=lambda name: hashlib.sha256(f"{seed}\nlabels\n{name}".encode()).digest()):
        if len(drawn) >= count:
            break
        drawn += sorted(clusters[name], key=lambda line: line.item_id)
    return [
        {
            "item_id": line.item_id,
            "question": items[line.item_id].messages[-1].content,
            "production_answer": line.production.answer,
            "candidate_answer": line.candidate.answer,
            "answers": answers_digest(line),
            "production": None,
            "candidate": None,
        }
        for line in drawn
    ]


def answers_digest(line: ScoreLine) -> str:
    """Return a digest of both answers to an item."""
    both = json.dumps([line.item_id, line.production.answer, line.candidate.answer])
    return hashlib.sha256(both.encode()).hexdigest()[:16]


def _label(text: bytes, where: str) -> HumanLabel:
    try:
        return HumanLabel.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where} is no label: {f'{place}: ' if place else ''}{words}") from error
