"""The cut: what counts as current, as bad, as too little."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from flywheel.components.monitoring.windows import MIN_USERS, cut
from flywheel.components.store.tables import SCHEMAS


def test_the_last_days_are_current_and_the_rest_is_reference(log: Callable) -> None:
    interactions, feedback = log(1)
    cut_log = cut(interactions, feedback, 7.0)
    end = pc.max(interactions["timestamp"]).as_py()
    late = sum(at > end - timedelta(days=7) for at in interactions["timestamp"].to_pylist())
    assert cut_log.current.sum() == late
    assert cut_log.unknown == ""
    assert cut_log.at.tolist() == sorted(cut_log.at.tolist())


def test_what_users_say_counts_as_bad_and_automated_signals_do_not(log: Callable) -> None:
    interactions, _ = log(1)
    names = interactions["interaction_id"].to_pylist()
    said = [
        ("rating", "rating", -1.0, True),
        ("rating", "rating", 1.0, False),
        ("rating", "rating", 0.0, False),
        ("correction", "correction", None, True),
        ("comment", "comment", None, False),
        ("implicit", "rephrase", None, True),
        ("implicit", "regenerate", None, True),
        ("implicit", "abandon", None, True),
        ("implicit", "copy", None, False),
        ("automated", "judge_score", -1.0, False),
    ]
    feedback = pa.table(
        {
            "interaction_id": [*names[: len(said)], "nobody"],
            "kind": [*(kind for kind, *_ in said), "rating"],
            "name": [*(name for _, name, *_ in said), "rating"],
            "value": pa.array([*(value for _, _, value, _ in said), -1.0], pa.float64()),
        }
    )
    found = cut(interactions, feedback, 7.0)
    bad = dict(zip(found.ids, found.bad, strict=True))
    assert [bool(bad[name]) for name in names[: len(said)]] == [expected for *_, expected in said]
    assert found.bad.sum() == sum(expected for *_, expected in said)


def test_no_automated_signals_means_errors_unknown_not_zero(log: Callable) -> None:
    interactions, feedback = log(1)
    found = cut(interactions, feedback.filter(pc.not_equal(feedback["kind"], "automated")), 7.0)
    assert np.isnan(found.error).all() and np.isnan(found.latency_ms).all()


@pytest.mark.parametrize("rows", [0, 1, 40])
def test_too_little_says_what_is_missing(log: Callable, rows: int) -> None:
    interactions, feedback = log(1)
    found = cut(interactions.slice(0, rows), feedback, 7.0)
    assert "the reference window holds" in found.unknown
    assert str(MIN_USERS) in found.unknown


def test_one_user_is_not_a_population(log: Callable) -> None:
    interactions, feedback = log(1)
    alone = interactions.set_column(2, "subject", pa.array(["0" * 32] * interactions.num_rows))
    assert "of 1 users" in cut(alone, feedback, 7.0).unknown


@pytest.mark.parametrize("days", [0, -1, float("nan"), float("inf")])
def test_a_window_of_no_length_is_refused(days: float) -> None:
    with pytest.raises(ValueError, match="current_days must be positive"):
        cut(SCHEMAS["interactions"].empty_table(), SCHEMAS["feedback"].empty_table(), days)
