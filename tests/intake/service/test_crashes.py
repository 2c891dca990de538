"""Whatever is killed, nothing that was acknowledged is lost or doubled."""

import json
import random
import signal
import threading
import time
from collections import Counter

import orjson
import psutil
import pytest

from flywheel.components.intake.service import segment
from flywheel.components.store import delta_table

KILLS = 22
STRUCTURED = {"content-type": "application/cloudevents+json"}


class Sender(threading.Thread):
    """Sends feedback and both halves of inferences, each until it is acknowledged, to whichever process is there."""

    def __init__(self, name, where, event):
        super().__init__(daemon=True)
        self.title, self.where, self.event = name, where, event
        self.over = threading.Event()
        self.feedback, self.inferences = set(), set()

    def run(self):
        number = 0
        while not self.over.is_set():
            number += 1
            title = f"{self.title}-{number}"
            answer = self._insist("/v1/feedback", {"interaction": title, "rating": 1, "comment": f"note {title}"}, {})
            if answer:
                self.feedback |= set(answer["feedback"])
            halves = [self.event("request", f"inf-{title}"), self.event("response", f"inf-{title}")]
            random.Random(number).shuffle(halves)
            if all(self._insist("/v1/events", half, STRUCTURED) for half in halves):
                self.inferences.add(f"inf-{title}")

    def _insist(self, path, body, headers):
        while not self.over.is_set():
            try:
                status, answer, _ = self.where().post(path, body, headers)
            except (OSError, ValueError):  # killed before, while or after it took the event on
                time.sleep(0.02)
                continue
            except Exception as error:
                if type(error).__module__ != "http.client":
                    raise
                time.sleep(0.02)
                continue
            if status == 202:
                return answer
            assert status in (429, 503), answer
            time.sleep(0.05)
        return None


def counted(store, table, column):
    """Count ids without the readers' deduplication."""
    ids = Counter()
    for batch in delta_table.batches(delta_table.latest(str(store), table), [column]):
        ids.update(batch[column].to_pylist())
    return ids


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_at_random_moments_loses_and_doubles_nothing(start, event):
    rng = random.Random(20261125)
    options = ("--move-seconds", "0.05", "--max-queue", "64")
    current = [start(*options)]
    senders = [Sender(f"s{number}", lambda: current[0], event) for number in range(3)]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.05, 1.2))
        current[0].kill()
        current[0] = start(*options)  # another pod, the same volume
    for sender in senders:
        sender.over.set()
        sender.join(60)
        assert not sender.is_alive()
    last = current[0]
    last.until(lambda: not [path for path in last.files() if ".halves" not in path.parts], 90)
    assert last.stop() == 0
    feedback, inferences = (set().union(*(getattr(s, name) for s in senders)) for name in ("feedback", "inferences"))
    assert len(feedback) > 2 * KILLS  # the load was a load
    assert len(inferences) > KILLS
    told = counted(last.store, "feedback", "feedback_id")
    assert feedback <= told.keys()
    assert set(told.values()) == {1}
    asked = counted(last.store, "interactions", "interaction_id")
    assert inferences <= asked.keys()
    assert set(asked.values()) == {1}
    assert counted(last.store, "quarantine", "quarantine_id") == Counter()


@pytest.mark.slow
def test_sigterm_under_load_moves_everything_and_ends_with_0(start, event):
    service = start("--move-seconds", "0.05")
    senders = [Sender(f"t{number}", lambda: service, event) for number in range(3)]
    for sender in senders:
        sender.start()
    time.sleep(2)
    assert service.stop() == 0
    for sender in senders:
        sender.over.set()
        sender.join(60)
    # a half whose other half was refused by then may wait
    assert [path for path in service.files() if ".halves" not in path.parts] == []
    assert "stopped; 0 bytes not moved yet" in service.log.read_text()
    feedback, inferences = (set().union(*(getattr(s, name) for s in senders)) for name in ("feedback", "inferences"))
    assert len(feedback) > 10
    assert feedback <= counted(service.store, "feedback", "feedback_id").keys()
    assert inferences <= counted(service.store, "interactions", "interaction_id").keys()


@pytest.mark.slow
def test_folder_of_a_dead_process_is_adopted_and_its_torn_end_cut(start):
    dead = start("--move-seconds", "600")
    acknowledged = set()
    for number in range(5):
        acknowledged |= set(dead.post("/v1/feedback", {"interaction": f"i-{number}", "rating": 1})[1]["feedback"])
    dead.kill()
    (path,) = [path for path in dead.files() if path.suffix == segment.OPEN]
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 3 - 7])  # a group that was being written
    living = start("--move-seconds", "0.1")
    living.until(lambda: living.metric("flywheel_intake_adopted_folders_total") == 1)
    living.until(lambda: living.metric("flywheel_intake_moved_rows_total", table="feedback") == 5)
    assert living.metric("flywheel_intake_torn_groups_total") == 1
    assert living.metric("flywheel_intake_unmoved_bytes") == 0
    assert living.stop() == 0
    assert counted(living.store, "feedback", "feedback_id") == Counter(dict.fromkeys(acknowledged, 1))
    assert [path for path in living.segments.iterdir() if not path.name.startswith(".")] == []


@pytest.mark.slow
def test_folder_of_a_living_process_is_left_alone(start):
    one = start("--move-seconds", "600")
    one.post("/v1/feedback", {"interaction": "i", "rating": 1})
    other = start("--move-seconds", "0.05")
    other.post("/v1/feedback", {"interaction": "j", "rating": 1})
    other.until(lambda: other.metric("flywheel_intake_moved_rows_total", table="feedback") == 1)
    assert other.metric("flywheel_intake_adopted_folders_total") == 0
    assert other.stop() == 0
    assert [row["interaction_id"] for row in other.rows("feedback")] == ["j"]
    assert one.stop() == 0
    assert {row["interaction_id"] for row in one.rows("feedback")} == {"i", "j"}


@pytest.mark.slow
def test_mover_that_is_killed_is_started_again(start):
    service = start("--move-seconds", "0.1")
    service.post("/v1/feedback", {"interaction": "a", "rating": 1})
    service.until(lambda: service.metric("flywheel_intake_moved_rows_total", table="feedback") == 1)
    for number in range(3):
        (child,) = psutil.Process(service.child.pid).children()
        child.send_signal(signal.SIGKILL)
        assert service.post("/v1/feedback", {"interaction": f"b{number}", "rating": 1})[0] == 202
        service.until(
            lambda wanted=number + 2: service.metric("flywheel_intake_moved_rows_total", table="feedback") == wanted
        )
    children = psutil.Process(service.child.pid).children()
    service.kill()  # the mover notices that its server is gone
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


@pytest.mark.slow
def test_store_that_is_away_and_comes_back(start):
    service = start("--move-seconds", "0.1", "--stop-seconds", "5")
    service.post("/v1/feedback", {"interaction": "a", "rating": 1})
    service.until(lambda: service.metric("flywheel_intake_moved_rows_total", table="feedback") == 1)
    service.store.rename(service.root / "away")
    service.store.write_text("not a folder")
    acknowledged = service.post("/v1/feedback", {"interaction": "b", "rating": 1})
    assert acknowledged[0] == 202
    service.until(lambda: service.metric("flywheel_intake_move_failures_total") >= 2)
    status, answer, _ = service.call("GET", "/readyz")
    assert status == 200  # segments are for this
    assert "StoreError" in json.loads(answer)["store"]
    assert service.metric("flywheel_intake_unmoved_bytes") > 0
    assert service.metric("flywheel_intake_oldest_unmoved_seconds") > 0
    assert service.stop() == 0
    assert "bytes not moved yet" in service.log.read_text()
    service.store.unlink()
    (service.root / "away").rename(service.store)
    again = start("--move-seconds", "0.1")
    again.until(lambda: again.metric("flywheel_intake_moved_rows_total", table="feedback") == 1)
    assert again.stop() == 0
    assert {row["interaction_id"] for row in again.rows("feedback")} == {"a", "b"}


def test_segment_survives_what_disks_do(tmp_path):
    writer = segment.SegmentWriter(tmp_path, 1 << 20)
    groups = [[orjson.dumps({"n": number, "text": "x" * number})] for number in range(20)]
    for group in groups:
        writer.append(group)
    path = writer.seal()
    data = path.read_bytes()
    assert [entry["n"] for entry in segment.read(path).entries] == list(range(20))
    for cut in range(len(data)):  # torn anywhere: a prefix of whole groups, never more, never garbage
        path.write_bytes(data[:cut])
        found = segment.read(path)
        assert [entry["n"] for entry in found.entries] == list(range(len(found.entries)))
        assert found.damaged_bytes == 0
    for at in range(0, len(data), 7):  # a byte flipped: that group is missed, the others are not
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        found = segment.read(path)
        assert len(found.entries) == 19
        assert found.damaged_bytes or found.torn_bytes


def test_group_that_cannot_be_written_is_not_there(tmp_path, monkeypatch):
    writer = segment.SegmentWriter(tmp_path, 1 << 20)
    writer.append([b'{"n": 1}'])
    monkeypatch.setattr(segment.os, "fdatasync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        writer.append([b'{"n": 2}'])
    monkeypatch.undo()
    writer.append([b'{"n": 3}'])
    writer.seal()
    found = [segment.read(path) for path in sorted(tmp_path.glob("*.seg"))]
    assert [[entry["n"] for entry in one.entries] for one in found] == [[1], [3]]
    assert all(one.torn_bytes == one.damaged_bytes == 0 for one in found)
