"""Keep out of training what is near to a question that evaluates."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.curation.duplicates import near_duplicates
from flywheel.components.curation.texts import entity_lexicon
from flywheel.components.curation.texts.normal_form import normal_form, question_form
from flywheel.components.dataset.prompts import parse_messages

Row = Mapping[str, Any]


def apart(
    rows: Sequence[Row], items: Sequence[EvaluationItem], left_out: Counter[str], texts: Sequence[str] = ()
) -> list[Row]:
    """Rows whose group does not evaluate and whose question is no near-duplicate of an evaluation item's.

    Args:
        rows: Rows with prompt and group_id.
        items: Everything that evaluates.
        left_out: Counts what goes: "held_out" by group, "evaluation_prompt" by question.
        texts: More texts that the names of the corpus are learned from.
    """
    groups = {item.cluster for item in items if item.cluster}
    said = {message.content for item in items for message in item.messages}
    said |= {turn["content"] for row in rows for turn in row["prompt"]}
    lexicon = entity_lexicon.build({*said, *texts})
    asked = [_question(parse_messages(list(row["prompt"]))) for row in rows]
    guarded = [_question(item.messages) for item in items]
    labels = near_duplicates.group([*guarded, *asked], lexicon).tolist() if rows and items else [0] * len(rows)
    taken = set(labels[: len(guarded)]) if rows and items else set()
    kept = []
    for row, label in zip(rows, labels[-len(rows) :] if rows else [], strict=True):
        if row["group_id"] in groups:
            left_out["held_out"] += 1
        elif label in taken:
            left_out["evaluation_prompt"] += 1
        else:
            kept.append(row)
    return kept


def read_items(path: str) -> list[EvaluationItem]:
    """Read the evaluation items of `assemble_dataset`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is no evaluation item.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"evaluation items {path}: no such file; run assemble_dataset first")
    items = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        try:
            items.append(EvaluationItem.model_validate_json(line))
        except ValueError as error:
            raise ValueError(f"evaluation items {path}, line {number}: {error}") from error
    return items


def _question(messages: Sequence[Any]) -> tuple[str, str]:
    before = "\n".join(message.content for message in messages[:-1] if message.role in ("user", "assistant"))
    return normal_form(before), question_form(messages[-1].content)
