from datetime import timedelta

import numpy as np
import pytest

from flywheel.components.curation.clustering.trend import Periods, periods, trends
from tests.curation.conftest import START

WEEKS = Periods(7, START, 5)


def events(users: int, each: int, weeks_ago: float, first: int = 0):
    at = START - timedelta(days=7 * weeks_ago)
    return [(f"u{first + user}", at - timedelta(hours=n)) for user in range(users) for n in range(each)]


def test_periods_end_with_the_newest_interaction():
    hours = [START + timedelta(hours=n) for n in range(24 * 30)]
    found = periods(hours)
    assert (found.days, found.number, found.of(hours[-1]), found.of(hours[0])) == (7, 5, 0, 4)
    assert periods(hours[: 24 * 5]).days == 1
    assert periods(hours[:30]) is None
    assert periods([]) is None


def test_a_rise_is_called_growing_and_its_fall_shrinking():
    base = events(60, 10, 0.5) + events(60, 10, 1.5) + events(60, 10, 2.5)
    rising = events(40, 3, 0.5) + events(10, 1, 1.5)
    falling = events(5, 1, 0.5) + events(40, 3, 1.5) + events(40, 3, 2.5)
    level = events(20, 1, 0.5) + events(20, 1, 1.5, first=10) + events(20, 1, 2.5, first=20)
    up, down, same = trends([rising, falling, level], base, WEEKS)
    assert (up.call, down.call, same.call) == ("growing", "shrinking", "steady")
    assert (up.now, up.before, up.counts) == (120, 10, (0, 0, 0, 10, 120))
    assert up.lower > 0 > down.upper
    assert same.lower < 0 < same.upper


def test_one_user_is_no_trend():
    base = events(60, 10, 0.5) + events(60, 10, 1.5)
    shout = events(1, 9, 0.5) + events(8, 1, 1.5, first=20)
    crowd = events(40, 3, 0.5) + events(8, 1, 1.5)
    calls = [one.call for one in trends([shout, crowd], base, WEEKS)]
    assert calls == ["steady", "growing"]


def test_more_traffic_is_no_growth():
    base = events(60, 20, 0.5) + events(60, 5, 1.5)
    assert trends([events(60, 4, 0.5) + events(60, 1, 1.5)], base, WEEKS)[0].call == "steady"


@pytest.mark.parametrize("over", [WEEKS, None])
def test_little_data_says_nothing(over):
    (one,) = trends([events(3, 1, 0.5)], events(50, 5, 0.5), over)
    assert (one.call, one.p_value) == ("too little data", 1.0)
    assert trends([], [], over) == []
    assert np.isfinite([one.lower, one.upper]).all()
