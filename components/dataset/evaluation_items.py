"""Evaluation items from held-out corrections, and the golden items that a person keeps."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.dataset.corrections import Correction, agree
from flywheel.components.dataset.prompts import prompt_key

_EXAMPLES = 5


@dataclass(frozen=True)
class GoldenConflict:
    """A golden item whose reference an accepted correction contradicts; the golden item stays as it is."""

    item_id: str
    question: str
    golden: str
    correction: str


def changed_items(corrections: Sequence[Correction], unit_of: Mapping[str, str]) -> list[EvaluationItem]:
    """Make one item of suite "changed" per held-out question.

    Args:
        corrections: Held-out corrections, settled: those of one question agree.
        unit_of: Candidate id -> unit of the split, which is the cluster of the statistics.

    Returns:
        Items in order of their ids; the references are the corrections as they were written.
    """
    questions: dict[str, list[Correction]] = defaultdict(list)
    for item in corrections:
        questions[item.key].append(item)
    items = []
    for key, same in questions.items():
        first = min(same, key=lambda item: item.candidate_id)
        slices = {"category": first.category, "topic": first.cluster_name}
        items.append(
            EvaluationItem(
                item_id=f"changed-{hashlib.sha256(key.encode()).hexdigest()[:16]}",
                suite="changed",
                messages=first.messages,
                references=tuple(dict.fromkeys(item.correction for item in same)),
                cluster=unit_of[first.candidate_id],
                slices={name: value for name, value in slices.items() if value},
            )
        )
    return sorted(items, key=lambda item: item.item_id)


def read_golden(path: str) -> list[EvaluationItem]:
    """Read the golden items: a JSON line each.

    Args:
        path: File; "" for none.

    Returns:
        The items in the file's order.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is no item or uses an id again; golden items are curated by hand, so a bad line is an error
            to mend, not to skip.
    """
    if not path:
        return []
    if not Path(path).is_file():
        raise FileNotFoundError(f"golden items {path}: no such file")
    items: list[EvaluationItem] = []
    seen: set[str] = set()
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                item = EvaluationItem.model_validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(str(part) for part in first["loc"]) or "line"
                raise ValueError(f"golden items {path}, line {number}: {place}: {first['msg']}") from error
            if item.item_id in seen:
                raise ValueError(f"golden items {path}, line {number}: item id {item.item_id!r} is used twice")
            seen.add(item.item_id)
            items.append(item)
    return items


def golden_conflicts(golden: Sequence[EvaluationItem], corrections: Sequence[Correction]) -> list[GoldenConflict]:
    """Find the golden items that accepted corrections contradict: one of the two is out of date.

    Args:
        golden: Golden items.
        corrections: All accepted corrections.

    Returns:
        One conflict per golden item, with the first correction that contradicts all its references.
    """
    by_question: dict[str, list[Correction]] = defaultdict(list)
    for item in corrections:
        by_question[item.key].append(item)
    conflicts = []
    for item in golden:
        question = item.messages[-1].content
        for correction in by_question.get(prompt_key(item.messages), ()):
            if item.kind == "exact" and not any(
                agree(reference, correction.correction, question) for reference in item.references
            ):
                conflicts.append(GoldenConflict(item.item_id, question, item.references[0], correction.correction))
                break
    return conflicts


def conflict_details(conflicts: Sequence[GoldenConflict]) -> dict[str, object]:
    """Render for the report: the count and a few examples."""
    return {"count": len(conflicts), "examples": [vars(conflict) for conflict in conflicts[:_EXAMPLES]]}
