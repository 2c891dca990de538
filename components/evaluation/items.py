"""Read evaluation items (JSON lines of `EvaluationItem`) and identify a set of them."""

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError

from flywheel.components.contracts.dataset import EvaluationItem


def read_items(path: str | Path) -> list[EvaluationItem]:
    """Read all items of a file.

    Args:
        path: JSON-lines file; blank lines are skipped.

    Returns:
        The items in order.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is no item, an id occurs twice, or there is no item at all; the message names the line.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"no evaluation items at {source}")
    items: list[EvaluationItem] = []
    seen: dict[str, int] = {}
    with source.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                item = EvaluationItem.model_validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                told = [".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")]
                why = ": ".join(word for word in told if word)
                raise ValueError(f"{source} line {number} is no evaluation item: {why}") from error
            if item.item_id in seen:
                raise ValueError(
                    f"{source} line {number}: item id {item.item_id!r} was used on line {seen[item.item_id]} already; "
                    "an item counted twice would make the verdict look surer than it is"
                )
            seen[item.item_id] = number
            items.append(item)
    if not items:
        raise ValueError(f"{source} holds no evaluation items: there is nothing to compare the models on")
    return items


def ids_digest(ids: list[str]) -> str:
    """Return the SHA-256 over the sorted item ids: which items a set holds, whatever their order."""
    return hashlib.sha256(json.dumps(sorted(ids)).encode()).hexdigest()
