import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from flywheel.components.store.engine import EngineError, check_address, running


def doubled(unit):
    return pa.table({"n": pa.array([2 * n for n in unit["n"].to_pylist()], pa.int64())}).replace_schema_metadata(
        {b"rows": str(unit.num_rows).encode()}
    )


def test_results_come_in_the_order_of_the_units():
    units = [pa.table({"n": pa.array(range(i, i * 3), pa.int64())}) for i in range(7)]
    with running() as on:
        done = list(on.map(doubled, units))
        assert list(on.map(doubled, [])) == []
    assert [part["n"].to_pylist() for part in done] == [[2 * n for n in range(i, i * 3)] for i in range(7)]
    assert [part.schema.metadata[b"rows"] for part in done] == [str(2 * i).encode() for i in range(7)]


def test_an_error_of_the_work_is_raised():
    def broken(unit):
        raise ValueError("no such luck")

    with running() as on, pytest.raises(Exception, match="no such luck"):
        list(on.map(broken, [pa.table({"n": [1]})]))


def test_what_cannot_be_used_is_refused_with_words(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(EngineError, match=r"unknown engine 'spark'; use one of native, ray"), running("spark"):
        pass
    with pytest.raises(EngineError, match="give engine=ray"), running("native", "ray://head:10001"):
        pass
    with pytest.raises(EngineError, match="needs the address of a Ray cluster"):
        check_address("")
    for address in ("head", "ray://head", "http://head:1", "ray://head:port"):
        with pytest.raises(EngineError, match="is not host:port"):
            check_address(address)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(EngineError, match="nobody answers at the Ray address"):
            check_address(f"ray://127.0.0.1:{closed.getsockname()[1]}")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        check_address(f"127.0.0.1:{listening.getsockname()[1]}")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match=r"pip install 'feedback-flywheel\[ray\]'"), running("ray", "local"):
        pass


BOTH = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
import numpy as np
import pyarrow as pa
from flywheel.components.curation.duplicates import distributed_components
from flywheel.components.curation.stages.deduplicate import deduplicate
from flywheel.components.intake.ingest import ingest
from flywheel.components.store import delta_table, engine

def where(unit):
    import ray
    return pa.table({"node": [ray.get_runtime_context().get_node_id()]})

if __name__ == "__main__":
    name, address, log, out = sys.argv[1:]
    out = Path(out)
    now = datetime(2026, 11, 21, tzinfo=UTC)
    nodes = set()
    with engine.running(name, address) as on:  # started once for both stages
        if name == "ray":
            nodes = {part["node"][0].as_py() for part in on.map(where, [pa.table({"n": [n]}) for n in range(8)])}
        engine.running = lambda *ignored: __import__("contextlib").nullcontext(engine.Engine(name, 2))
        from flywheel.components.curation.stages import deduplicate as stage
        from flywheel.components.intake import ingest as intake
        stage.running = intake.running = engine.running
        summary = ingest(log, str(out / "store"), "run", now=now)
        summary.record("run")
        summary.snapshot.write(out / "snapshot.json")
        deduplicate(str(out / "snapshot.json"), str(out / "kept.parquet"), "run", groups=str(out / "groups.parquet"))
        dice = np.random.default_rng(1)
        ends = dice.integers(0, 400, 350), dice.integers(0, 400, 350)
        np.save(out / "labels.npy", distributed_components.connected(400, *ends))
    for table in ("interactions", "feedback", "quarantine"):
        rows = delta_table.read(delta_table.latest(str(out / "store"), table))
        with pa.OSFile(str(out / f"{table}.arrow"), "wb") as file, pa.ipc.new_file(file, rows.schema) as writer:
            writer.write_table(rows.combine_chunks())
    print(json.dumps({"rows": summary.rows_in, "pii": dict(summary.pii), "accepted": summary.accepted, "nodes": len(nodes)}))
"""


def log_lines():
    for i in range(900):
        about, said = f"Borel {i % 40}", i % 7
        yield json.dumps(
            {
                "interaction": f"i{i}",
                "conversation": f"c{i // 2}",
                "user": f"u{i % 60}",
                "timestamp": f"2026-11-{1 + i % 20:02d}T10:00:00Z",
                "prompt": f"{'Hi, ' * (i % 3 == 0)}what is the warranty of the {about}? Write to user{i}@example.org",
                "response": f"The {about} has a warranty of {said} months.",
                "correction": f"The {about} has a warranty of {24 + i % 2} months. Call +49 30 12345{i:03d}",
                "rating": -1,
            }
        )
    yield "no json"


@pytest.fixture
def two_nodes():
    """A Ray cluster of two nodes, each with processes and an object store of its own."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
        cluster.wait_for_nodes()
        yield cluster.address
    finally:
        cluster.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_native_and_two_nodes_of_ray_write_the_same_bytes(tmp_path, monkeypatch, request):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    head = request.getfixturevalue("two_nodes")
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(log_lines()))
    os.utime(log, (1_790_000_000, 1_790_000_000))
    script = tmp_path / "both.py"
    script.write_text(BOTH)
    settings = os.environ | {"FLYWHEEL_PSEUDONYM_KEY": "ab" * 16}
    files = {}
    for name, address in (("native", ""), ("ray", head)):
        out = tmp_path / name
        out.mkdir()
        command = [sys.executable, str(script), name, address, str(log), str(out)]
        done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        said = json.loads(done.stdout.strip().splitlines()[-1])
        assert (said["rows"], said["accepted"]) == (901, 900)
        assert said["pii"]["EMAIL"] >= 900
        assert said["nodes"] == (2 if name == "ray" else 0)
        named = ("interactions.arrow", "feedback.arrow", "quarantine.arrow", "labels.npy")
        files[name] = {file: Path(out, file).read_bytes() for file in named}
        import pyarrow.parquet as pq

        for file in ("kept.parquet", "groups.parquet"):
            files[name][file] = str(pq.read_table(out / file).replace_schema_metadata(None).to_pylist())
    assert files["native"] == files["ray"]
    assert 0 < files["native"]["kept.parquet"].count("group_id") < 900


LOCAL = """
import json, sys
import pyarrow as pa
from flywheel.components.store import engine

def doubled(unit):
    import ray
    node = ray.get_runtime_context().get_node_id()
    return pa.table({"n": [2 * n for n in unit["n"].to_pylist()], "node": [node] * unit.num_rows})

if __name__ == "__main__":
    with engine.running("ray", "local") as on:
        done = [part.to_pydict() for part in on.map(doubled, [pa.table({"n": [n, n + 1]}) for n in range(5)])]
    import ray
    try:
        with engine.running("native"):
            refused = ""
    except engine.EngineError as error:
        refused = str(error)
    said = {"name": on.name, "workers": on.workers, "runs on": ray.is_initialized(), "refused": refused, "done": done}
    print(json.dumps(said))
"""


@pytest.mark.slow
def test_the_address_local_starts_ray_here_and_stops_it(tmp_path):
    pytest.importorskip("ray")
    script = tmp_path / "local.py"
    script.write_text(LOCAL)
    settings = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "RAY_AUTH_MODE")}
    done = subprocess.run(
        [sys.executable, str(script)], env=settings, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.strip().splitlines()[-1])
    assert [part["n"] for part in said["done"]] == [[2 * n, 2 * n + 2] for n in range(5)]
    assert len({node for part in said["done"] for node in part["node"]}) == 1
    assert said["name"] == "ray" and said["workers"] >= 2 and not said["runs on"]
    assert "has used Daft's other engine already" in said["refused"]
