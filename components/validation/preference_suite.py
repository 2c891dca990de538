"""The contract on the preference set: prompt, chosen and rejected as message lists; the two answers differ."""

from typing import TYPE_CHECKING, Any

from flywheel.components.validation import chat_shape, personal_data
from flywheel.components.validation.contract import expect
from flywheel.components.validation.row_digest import row_digest

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.expectations import Expectation

SUITE = "preferences"
KEY = "row"
MAX_CHARACTERS = 65_536
_PARTS = ("prompt", "chosen", "rejected")


def project(rows: list[dict[str, Any]]) -> "pd.DataFrame":
    """Project preference pairs to what the suite looks at.

    Args:
        rows: Rows with prompt, chosen and rejected; what is missing is null.

    Returns:
        One row per pair, numbered from 0 in `row`.
    """
    import pandas as pd

    texts = [[text for part in _PARTS for text in chat_shape.texts(row.get(part))] for row in rows]
    columns: dict[str, list[Any]] = {
        "row": list(range(len(rows))),
        "group_id": [row.get("group_id") or None for row in rows],
        "prompt_fault": [chat_shape.prompt_fault(row.get("prompt")) for row in rows],
        "chosen_fault": [chat_shape.answer_fault(row.get("chosen")) for row in rows],
        "rejected_fault": [chat_shape.answer_fault(row.get("rejected")) for row in rows],
        "prompt_blank": [chat_shape.blank(row.get("prompt"), "user", "system", "developer") for row in rows],
        "chosen_blank": [chat_shape.blank(row.get("chosen"), "assistant") for row in rows],
        "answers_equal": [_answer(row.get("chosen")) == _answer(row.get("rejected")) for row in rows],
        "personal_data": [personal_data.flag(*parts) for parts in texts],
        "characters": [sum(map(len, parts)) for parts in texts],
        "digest": [row_digest(*(row.get(part) for part in _PARTS)) for row in rows],
    }
    return pd.DataFrame(columns).astype({"characters": "float64"})


def expectations() -> "list[Expectation]":
    """List what must hold; a set without pairs passes.

    Returns:
        Expectations, each with its check name in `meta`.
    """
    in_set, ok, no = "ExpectColumnValuesToBeInSet", ["ok"], [False]
    one = "is one assistant message"
    return [
        expect(
            in_set,
            "prompt_shape",
            "system first, user and assistant in turn, the user last",
            column="prompt_fault",
            value_set=ok,
        ),
        expect(in_set, "chosen_shape", f"the chosen answer {one}", column="chosen_fault", value_set=ok),
        expect(in_set, "rejected_shape", f"the rejected answer {one}", column="rejected_fault", value_set=ok),
        expect(
            in_set, "prompt_not_blank", "every user and system message has text", column="prompt_blank", value_set=no
        ),
        expect(in_set, "chosen_not_blank", "every chosen answer has text", column="chosen_blank", value_set=no),
        expect(
            in_set,
            "answers_differ",
            "chosen and rejected differ by more than spaces",
            column="answers_equal",
            value_set=no,
        ),
        expect(in_set, "no_personal_data", "no personal data is left", column="personal_data", value_set=["none"]),
        expect(
            "ExpectColumnValuesToNotBeNull",
            "group_id_present",
            "every pair has the group that splits rest on",
            column="group_id",
        ),
        expect(
            "ExpectColumnValuesToBeBetween",
            "lengths_in_bounds",
            f"no pair has more than {MAX_CHARACTERS} characters",
            column="characters",
            max_value=MAX_CHARACTERS,
        ),
        expect("ExpectColumnValuesToBeUnique", "pairs_unique", "no pair comes twice", column="digest"),
    ]


def _answer(messages: Any) -> list[str]:
    return " ".join(chat_shape.texts(messages)).split()
