import dataclasses
import json
import math

import pytest

from flywheel.components.statistics.interval import Interval


def test_contains_and_width():
    interval = Interval(-0.1, 0.3, 0.95)
    assert interval.contains(-0.1) and interval.contains(0.3) and not interval.contains(0.31)
    assert interval.width == pytest.approx(0.4)


def test_survives_json():
    interval = Interval(-0.1, 0.3, 0.95)
    assert Interval(**json.loads(json.dumps(dataclasses.asdict(interval)))) == interval


def test_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Interval(0, 1, 0.9).lower = 5


@pytest.mark.parametrize(
    "limits", [(1, 0, 0.95), (math.nan, 1, 0.95), (0, math.nan, 0.95), (0, 1, 1.0), (0, 1, math.nan)]
)
def test_bad_limits_raise(limits):
    with pytest.raises(ValueError, match="limit|confidence"):
        Interval(*limits)
