"""The bench of the intake service measures what it says."""

import json
import re
from itertools import islice

import pytest

from flywheel.scripts.benchmarks import intake_service
from flywheel.scripts.benchmarks.intake_load import senders, wrk


def test_senders_never_say_the_same_twice():
    said = [json.loads(body) for seed in (0, 1) for body in islice(senders.bodies(seed), 200)]
    assert len({one["interaction"] for one in said}) == 400
    assert any("maria.lopez@example.org" in one["correction"] for one in said)


def test_wrk_that_is_not_there_is_said_clearly(monkeypatch):
    monkeypatch.setattr(wrk.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="apt-get install wrk"):
        intake_service.main(["--client", "wrk"])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_small_run_counts_every_acknowledged_row(capsys):
    intake_service.main(["--client", "python", "--rounds", "1", "--seconds", "1", "--connections", "4", "--kills", "2"])
    out = capsys.readouterr().out
    assert re.search(r"rows of [\d,]+ events: whole", out)
    assert re.search(r"2 x kill -9 under load: [\d,]+ events acknowledged \([\d,]+ rows\), 0 lost, 0 doubled", out)
    assert "goal: 0 lost over 2 kill -9: kept" in out


@pytest.mark.slow
@pytest.mark.skipif(not wrk.available(), reason="wrk is not installed")
def test_wrk_and_the_service_count_the_same(tmp_path):
    from flywheel.scripts.benchmarks.intake_load.service_process import ServiceProcess

    service = ServiceProcess(tmp_path)
    load = wrk.load(service.port, 4, 1, 7)
    accepted = service.metric("flywheel_intake_group_events_sum")
    assert load.refused == load.broken == 0
    assert 10 < load.answered <= accepted <= load.answered + 4  # those under way when the time was over
    assert 0 < load.p50 <= load.p99
    assert service.stop() == 0
    assert service.left() == []
