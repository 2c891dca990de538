"""Signals meet the interactions that they are about, however both are cut and ordered."""

import random
from datetime import timedelta

import pyarrow as pa
import pytest

from flywheel.components.curation.stages import signals
from flywheel.components.curation.stages.votes import _distinct
from tests.curation.conftest import START


def rows(draw: random.Random, count: int) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"interaction_id": f"i{draw.randrange(9)}", "subject": f"u{draw.randrange(3)}", "feedback_id": f"f{n:03d}",
             "timestamp": START + timedelta(hours=draw.randrange(3)), "text": f"t{n}"}
            for n in draw.sample(range(count), count)
        ],
        pa.schema([*((name, pa.string()) for name in ("interaction_id", "subject", "feedback_id", "text")),
                   ("timestamp", pa.timestamp("us", "UTC"))]),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_the_last_signal_of_each_user_is_found_again_at_its_interaction(seed, monkeypatch):
    draw = random.Random(seed)
    given = rows(draw, 40 * seed)
    last = {}
    for row in sorted(given.to_pylist(), key=lambda row: (row["timestamp"], row["feedback_id"])):
        last[row["interaction_id"], row["subject"]] = row
    latest = signals.latest(given)
    assert latest.to_pylist() == [last[key] for key in sorted(last)]
    monkeypatch.setattr(signals, "_ROWS", 2)
    log = pa.table({"interaction_id": [f"i{n}" for n in draw.sample(range(12), 12)], "number": range(12)})
    found = {}
    for batch, places in signals.joined(latest, (log.slice(start, 5) for start in range(0, 12, 5))):
        assert batch.num_rows == len(places) <= 2
        for name, place in zip(batch["interaction_id"].to_pylist(), places, strict=True):
            found[name] = latest.slice(place.start, len(place)).to_pylist()
    assert found == {name: [last[key] for key in sorted(last) if key[0] == name] for name in {key[0] for key in last}}


def test_each_text_comes_once_however_they_are_cut():
    draw = random.Random(7)
    texts = [f"text {draw.randrange(300)}" for _ in range(1000)]
    for size in (1, 7, 64, 2000):
        found = list(_distinct(texts[start : start + size] for start in range(0, 1000, size)))
        assert found == list(dict.fromkeys(texts))
