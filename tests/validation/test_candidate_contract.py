"""Each check of the candidate contract catches the row that breaks it, and only that."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from flywheel.components.store.tables import SCHEMAS
from flywheel.components.validation.candidate_suite import MAX_CHARACTERS
from flywheel.components.validation.checked_data import check_candidates

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def row(number: int, **changes: object) -> dict[str, object]:
    accepted = {
        "candidate_id": f"{number:032x}",
        "run_id": "r1",
        "interaction_id": f"{number + 1000:032x}",
        "subject": f"{number % 20:032x}",
        "timestamp": NOW - timedelta(hours=number + 1),
        "prompt": f"What does plan {number} cost?",
        "messages": "[]",
        "response": f"Plan {number} costs 10 euros.",
        "correction": f"Plan {number} costs 12 euros.",
        "category": "factual",
        "confidence": 0.97,
        "route": "accept",
        "reason": "",
        "group_id": f"g{number}",
        "cluster_id": "c1",
        "cluster_name": "plan, costs",
    }
    return accepted | changes


def table(rows: list[dict[str, object]]) -> pa.Table:
    """Nullable, so that a test can break what the store's schema forbids."""
    return pa.Table.from_pylist(rows, schema=pa.schema([field.with_nullable(True) for field in SCHEMAS["candidates"]]))


def clean(count: int = 60) -> list[dict[str, object]]:
    rows = [row(number) for number in range(count)]
    return [*rows, row(900, route="review", reason="low_confidence"), row(901, route="discard", reason="unchanged")]


CORRUPTIONS: dict[str, dict[str, object]] = {
    "candidate_id_present": {"candidate_id": ""},
    "interaction_id_present": {"interaction_id": ""},
    "subject_present": {"subject": ""},
    "timestamp_present": {"timestamp": None},
    "group_id_present": {"group_id": ""},
    "confidence_present": {"confidence": None},
    "category_present": {"category": ""},
    "route_present": {"route": "", "reason": "lost"},
    "ids_unique": {"candidate_id": f"{3:032x}"},
    "category_known": {"category": "poem"},
    "route_known": {"route": "maybe", "reason": "unsure"},
    "confidence_in_bounds": {"confidence": 1.2},
    "prompt_not_blank": {"prompt": " \n"},
    "correction_not_blank": {"correction": "  "},
    "correction_differs": {"correction": "Plan  500 costs 10 euros. "},
    "lengths_in_bounds": {"correction": "x" * (MAX_CHARACTERS + 1)},
    "no_personal_data": {"correction": "Ask jane.doe@example.org about it."},
    "reason_fits_route": {"reason": "low_confidence"},
    "not_in_future": {"timestamp": NOW + timedelta(days=2)},
    "subject_is_pseudonym": {"subject": "jane.doe"},
}


@pytest.mark.parametrize("check", CORRUPTIONS)
def test_one_corrupted_row_is_caught_by_its_check_alone(check: str) -> None:
    result = check_candidates(table([*clean(), row(500, **CORRUPTIONS[check])]), NOW)
    assert result.outcome == "fail"
    assert [broken.check for broken in result.failed] == [check]
    broken = result.failed[0]
    assert broken.unexpected == (2 if check == "ids_unique" else 1)
    if check not in ("candidate_id_present", "ids_unique"):
        assert broken.examples[0]["candidate_id"] == f"{500:032x}"


def test_one_subject_with_too_many_accepted_rows_is_caught() -> None:
    flood = [row(2000 + number, subject=f"{77:032x}") for number in range(11)]
    result = check_candidates(table(clean() + flood), NOW)
    assert [broken.check for broken in result.failed] == ["subject_share_capped"]
    assert result.failed[0].unexpected == 11


def test_nothing_accepted_is_a_warning_because_the_trigger_holds() -> None:
    result = check_candidates(table([row(1, route="review", reason="low_confidence")]), NOW)
    assert result.outcome == "pass"
    assert [warning.check for warning in result.warnings] == ["some_accepted"]


def test_clean_rows_and_no_rows_pass() -> None:
    assert check_candidates(table(clean()), NOW).outcome == "pass"
    empty = check_candidates(table([]), NOW)
    assert (empty.outcome, empty.rows, empty.failed, empty.warnings) == ("pass", 0, [], [])


def test_the_examples_never_show_the_personal_data() -> None:
    rows = [
        row(500, subject="jane.doe"),
        row(501, category="call +49 170 1234567"),
        row(502, response="IBAN DE89 3704 0044 0532 0130 00"),
    ]
    result = check_candidates(table(clean() + rows), NOW)
    shown = str(result.to_json())
    assert {broken.check for broken in result.failed} == {"subject_is_pseudonym", "category_known", "no_personal_data"}
    assert not any(secret in shown for secret in ("jane.doe", "170 1234567", "DE89"))
