from datetime import timedelta

import numpy as np
import pytest

from flywheel.components.curation.clustering.trend import Events, Periods, microseconds, periods, trends
from tests.curation.conftest import START

WEEKS = Periods(7, START, 5)


def events(users: int, each: int, weeks_ago: float, first: int = 0):
    at = START - timedelta(days=7 * weeks_ago)
    times = microseconds(at - timedelta(hours=n) for _ in range(users) for n in range(each))
    return Events(np.repeat(np.arange(first, first + users), each), np.array(times, np.int64))


def together(*some: Events) -> Events:
    return Events(np.concatenate([one.users for one in some]), np.concatenate([one.times for one in some]))


def test_periods_end_with_the_newest_interaction():
    hours = np.array(microseconds(START + timedelta(hours=n) for n in range(24 * 30)), np.int64)
    found = periods(hours)
    assert (found.days, found.number, found.end) == (7, 5, START + timedelta(hours=24 * 30 - 1))
    assert found.back(hours[[-1, -168, -169, 0]]).tolist() == [0, 0, 1, 4]
    assert found.back(hours[-1:] + 3_600_000_000).tolist() == [0]
    assert periods(hours[: 24 * 5]).days == 1
    assert periods(hours[:30]) is None
    assert periods(hours[:0]) is None


def test_a_rise_is_called_growing_and_its_fall_shrinking():
    base = together(events(60, 10, 0.5), events(60, 10, 1.5), events(60, 10, 2.5))
    rising = together(events(40, 3, 0.5), events(10, 1, 1.5))
    falling = together(events(5, 1, 0.5), events(40, 3, 1.5), events(40, 3, 2.5))
    level = together(events(20, 1, 0.5), events(20, 1, 1.5, first=10), events(20, 1, 2.5, first=20))
    up, down, same = trends([rising, falling, level], base, WEEKS)
    assert (up.call, down.call, same.call) == ("growing", "shrinking", "steady")
    assert (up.now, up.before, up.counts) == (120, 10, (0, 0, 0, 10, 120))
    assert up.lower > 0 > down.upper
    assert same.lower < 0 < same.upper


def test_one_user_is_no_trend():
    base = together(events(60, 10, 0.5), events(60, 10, 1.5))
    shout = together(events(1, 9, 0.5), events(8, 1, 1.5, first=20))
    crowd = together(events(40, 3, 0.5), events(8, 1, 1.5))
    calls = [one.call for one in trends([shout, crowd], base, WEEKS)]
    assert calls == ["steady", "growing"]


def test_more_traffic_is_no_growth():
    base = together(events(60, 20, 0.5), events(60, 5, 1.5))
    assert trends([together(events(60, 4, 0.5), events(60, 1, 1.5))], base, WEEKS)[0].call == "steady"


@pytest.mark.parametrize("over", [WEEKS, None])
def test_little_data_says_nothing(over):
    (one,) = trends([events(3, 1, 0.5)], events(50, 5, 0.5), over)
    assert (one.call, one.p_value) == ("too little data", 1.0)
    assert trends([], events(0, 0, 0.5), over) == []
    assert np.isfinite([one.lower, one.upper]).all()
