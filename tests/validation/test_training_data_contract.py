"""Each check of the SFT and preference contracts catches the row that breaks it, and only that."""

from typing import Any

import pytest

from flywheel.components.validation import preference_suite, sft_suite
from flywheel.components.validation.checked_data import check_preferences, check_sft


def message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def sft_row(number: int, **changes: Any) -> dict[str, Any]:
    made = {
        "prompt": [message("system", "Be brief."), message("user", f"What does plan {number} cost?")],
        "completion": [message("assistant", f"{number} euros.")],
        "source": "correction" if number % 2 else "replay",
        "group_id": f"g{number}",
        "candidate_id": f"{number:032x}" if number % 2 else "",
    }
    return made | changes


def pair(number: int, **changes: Any) -> dict[str, Any]:
    made = {
        "prompt": [message("user", f"What does plan {number} cost?")],
        "chosen": [message("assistant", f"{number} euros.")],
        "rejected": [message("assistant", f"{number + 1} euros.")],
        "group_id": f"g{number}",
    }
    return made | changes


SFT: dict[str, dict[str, Any]] = {
    "prompt_shape": {"prompt": [message("user", "a"), message("user", "b")]},
    "prompt_not_blank": {"prompt": [message("user", " ")]},
    "completion_shape": {"completion": [message("user", "12")]},
    "completion_not_blank": {"completion": [message("assistant", "\n")]},
    "no_personal_data": {"completion": [message("assistant", "Write to jane@example.org")]},
    "source_present": {"source": None},
    "source_known": {"source": "the web"},
    "group_id_present": {"group_id": ""},
    "candidate_named": {"candidate_id": ""},
    "lengths_in_bounds": {"completion": [message("assistant", "x" * (sft_suite.MAX_CHARACTERS + 1))]},
    "rows_unique": {"prompt": sft_row(1)["prompt"], "completion": sft_row(1)["completion"]},
}
PREFERENCES: dict[str, dict[str, Any]] = {
    "prompt_shape": {"prompt": [message("assistant", "hello")]},
    "chosen_shape": {"chosen": [message("assistant", "a"), message("assistant", "b")]},
    "rejected_shape": {"rejected": []},
    "prompt_not_blank": {"prompt": [message("user", "")]},
    "chosen_not_blank": {"chosen": [message("assistant", " ")]},
    "answers_differ": {"rejected": [message("assistant", "501  euros. ")]},
    "no_personal_data": {"prompt": [message("user", "my card 4111 1111 1111 1111 fails")]},
    "group_id_present": {"group_id": None},
    "lengths_in_bounds": {"chosen": [message("assistant", "x" * (preference_suite.MAX_CHARACTERS + 1))]},
    "pairs_unique": pair(1),
}


@pytest.mark.parametrize("check", SFT)
def test_sft_one_corrupted_row_is_caught_by_its_check_alone(check: str) -> None:
    result = check_sft([*map(sft_row, range(30)), sft_row(501, **SFT[check])])
    assert [broken.check for broken in result.failed] == [check]
    assert 30 in [example["row"] for example in result.failed[0].examples]


@pytest.mark.parametrize("check", PREFERENCES)
def test_preferences_one_corrupted_row_is_caught_by_its_check_alone(check: str) -> None:
    result = check_preferences([*map(pair, range(30)), pair(501, **PREFERENCES[check])])
    assert [broken.check for broken in result.failed] == [check]
    assert 30 in [example["row"] for example in result.failed[0].examples]


def test_every_check_has_its_corruption() -> None:
    assert {check.check for check in check_sft([sft_row(1)]).checks} == {*SFT, "has_rows"}
    assert {check.check for check in check_preferences([pair(1)]).checks} == set(PREFERENCES)


def test_a_correction_that_says_what_replay_says_is_no_duplicate() -> None:
    agreeing = sft_row(501, prompt=sft_row(2)["prompt"], completion=sft_row(2)["completion"])
    assert check_sft([*map(sft_row, range(30)), agreeing]).outcome == "pass"


def test_clean_rows_pass_and_an_empty_sft_set_fails() -> None:
    assert check_sft([*map(sft_row, range(30))]).outcome == "pass"
    assert check_preferences([*map(pair, range(30))]).outcome == "pass"
    assert [broken.check for broken in check_sft([]).failed] == ["has_rows"]
    assert check_preferences([]).outcome == "pass"


def test_rows_without_the_columns_fail_with_names_not_with_a_traceback() -> None:
    broken = {check.check for check in check_sft([{"text": "hello"}]).failed}
    assert {"prompt_shape", "completion_shape", "source_present", "group_id_present"} <= broken
