"""Synthetic rows on disk: a JSON line each, with where it is from."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flywheel.components.store.tables import row_id

ORIGIN = "synthetic"


@dataclass(frozen=True)
class SyntheticRow:
    """One synthetic question with the answer of the correction that it was made from.

    Attributes:
        synthetic_id: From parent, question, answer and generator.
        parent_id: Candidate id of the correction.
        group_id: The correction's near-duplicate group: the row goes where its parent goes.
        cluster_id: The thin cluster.
        messages: The prompt; what was said before the question is the parent's.
        completion: The answer.
        generator: `templates`, or the model that wrote it.
        parameters: Settings of the generator that make it write the same again.
        origin: Always `synthetic`.
    """

    synthetic_id: str
    parent_id: str
    group_id: str
    cluster_id: str
    messages: list[dict[str, str]]
    completion: str
    generator: str
    parameters: dict[str, Any]
    origin: str = ORIGIN


def make(parent: Mapping[str, Any], question: str, answer: str, generator: str, how: dict[str, Any]) -> SyntheticRow:
    """Make a row from a candidate with another question.

    Args:
        parent: Candidate row of the store.
        question: What to ask instead.
        answer: The answer.
        generator: Who wrote it.
        how: Its settings.
    """
    turns = json.loads(parent["messages"] or "[]")
    last = max((place for place, turn in enumerate(turns) if turn.get("role") == "user"), default=0)
    before = [{"role": str(turn["role"]), "content": str(turn["content"])} for turn in turns[:last]]
    return SyntheticRow(
        synthetic_id=row_id(ORIGIN, parent["candidate_id"], question, answer, generator),
        parent_id=parent["candidate_id"],
        group_id=parent["group_id"] or parent["candidate_id"],
        cluster_id=parent["cluster_id"],
        messages=[*before, {"role": "user", "content": question}],
        completion=answer,
        generator=generator,
        parameters=how,
    )


def write(rows: Iterable[SyntheticRow], path: str) -> None:
    """Write rows; a reader sees no file or the whole file."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.new")
    lines = (json.dumps(asdict(row), ensure_ascii=False, sort_keys=True) + "\n" for row in rows)
    staged.write_text("".join(lines), encoding="utf-8")
    staged.replace(target)


def read(path: str) -> list[SyntheticRow]:
    """Read rows.

    Args:
        path: File of `write`; "" for none.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is no synthetic row; the message names it. A row that is not marked is refused.
    """
    if not path:
        return []
    if not Path(path).is_file():
        raise FileNotFoundError(f"synthetic rows {path}: no such file")
    rows = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = SyntheticRow(**json.loads(line))
            asked = row.messages[-1]
            fits = row.origin == ORIGIN and bool(row.parent_id and row.group_id and row.completion.strip())
            fits = fits and asked["role"] == "user" and bool(asked["content"].strip())
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise ValueError(f"synthetic rows {path}, line {number}: {error}") from error
        if not fits:
            raise ValueError(f"synthetic rows {path}, line {number}: not marked as {ORIGIN}, or incomplete")
        rows.append(row)
    return rows
