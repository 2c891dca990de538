"""The contract on the SFT set: prompt and completion as message lists, with where each row came from."""

from typing import TYPE_CHECKING, Any

from flywheel.components.validation import chat_shape, personal_data
from flywheel.components.validation.contract import expect
from flywheel.components.validation.row_digest import row_digest

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.expectations import Expectation

SUITE = "sft"
KEY = "row"
SOURCES = ("correction", "replay", "synthetic")  # golden items are for evaluation: in here they would be a leak
FROM_FEEDBACK = ("correction",)
MAX_CHARACTERS = 65_536


def project(rows: list[dict[str, Any]]) -> "pd.DataFrame":
    """Project rows of the SFT set to what the suite looks at.

    Args:
        rows: Rows with prompt, completion, source, group_id and candidate_id; what is missing is null.

    Returns:
        One row per row, numbered from 0 in `row`.
    """
    import pandas as pd

    columns: dict[str, list[Any]] = {
        "row": list(range(len(rows))),
        "source": [row.get("source") or None for row in rows],
        "group_id": [row.get("group_id") or None for row in rows],
        "candidate_named": [
            bool(row.get("candidate_id")) if row.get("source") in FROM_FEEDBACK else None for row in rows
        ],
        "prompt_fault": [chat_shape.prompt_fault(row.get("prompt")) for row in rows],
        "prompt_blank": [chat_shape.blank(row.get("prompt"), "user", "system", "developer") for row in rows],
        "completion_fault": [chat_shape.answer_fault(row.get("completion")) for row in rows],
        "completion_blank": [chat_shape.blank(row.get("completion"), "assistant") for row in rows],
        "personal_data": [
            personal_data.flag(*chat_shape.texts(row.get("prompt")), *chat_shape.texts(row.get("completion")))
            for row in rows
        ],
        "characters": [
            sum(map(len, chat_shape.texts(row.get("prompt")) + chat_shape.texts(row.get("completion")))) for row in rows
        ],
        "digest": [row_digest(row.get("source"), row.get("prompt"), row.get("completion")) for row in rows],
    }
    return pd.DataFrame(columns).astype({"characters": "float64"})


def expectations() -> "list[Expectation]":
    """List what must hold.

    Returns:
        Expectations, each with its check name in `meta`.
    """
    in_set, ok, no = "ExpectColumnValuesToBeInSet", ["ok"], [False]
    not_null = "ExpectColumnValuesToNotBeNull"
    return [
        expect("ExpectTableRowCountToBeBetween", "has_rows", "there is something to train on", min_value=1),
        expect(
            in_set,
            "prompt_shape",
            "system first, user and assistant in turn, the user last",
            column="prompt_fault",
            value_set=ok,
        ),
        expect(
            in_set, "prompt_not_blank", "every user and system message has text", column="prompt_blank", value_set=no
        ),
        expect(
            in_set,
            "completion_shape",
            "a completion is one assistant message",
            column="completion_fault",
            value_set=ok,
        ),
        expect(in_set, "completion_not_blank", "every completion has text", column="completion_blank", value_set=no),
        expect(in_set, "no_personal_data", "no personal data is left", column="personal_data", value_set=["none"]),
        expect(not_null, "source_present", "every row says where it came from", column="source"),
        expect(in_set, "source_known", f"one of {', '.join(SOURCES)}", column="source", value_set=SOURCES),
        expect(not_null, "group_id_present", "every row has the group that splits rest on", column="group_id"),
        expect(
            in_set,
            "candidate_named",
            "rows from feedback name their candidate",
            column="candidate_named",
            value_set=[True],
        ),
        expect(
            "ExpectColumnValuesToBeBetween",
            "lengths_in_bounds",
            f"no row has more than {MAX_CHARACTERS} characters",
            column="characters",
            max_value=MAX_CHARACTERS,
        ),
        expect(
            "ExpectColumnValuesToBeUnique",
            "rows_unique",
            "no prompt and completion come twice from one source",
            column="digest",
        ),
    ]
