"""The feedback store in S3, in Google's and in Azure's storage: written, followed and raced for as on a disk."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest

from flywheel.components.contracts.feedback import SCHEMA
from flywheel.components.intake.ingest import ingest
from flywheel.components.store import delta_table, streamed_append
from flywheel.components.store.tables import SCHEMAS
from tests.intake import cloud_servers, object_store
from tests.store.test_delta_table import rows

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TABLES = ("interactions", "feedback", "quarantine")


@pytest.fixture(scope="module", params=["s3", "gs", "abfs"])
def served(request, tmp_path_factory):
    """Name of the protocol, folder of the bucket, and options that lead to the server."""
    root = tmp_path_factory.mktemp(request.param)
    (root / "bucket").mkdir()
    script, more = (cloud_servers, [str(root / "requests")]) if request.param == "abfs" else (object_store, [])
    server = subprocess.Popen([sys.executable, script.__file__, str(root), *more], stdout=subprocess.PIPE, text=True)
    try:
        place = server.stdout.readline().strip()
        yield request.param, root / "bucket", options(place)[request.param]
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def options(place):
    google = {"gcs_base_url": place, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    return {
        "s3": object_store.s3_options(place),
        "gs": {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(google)},
        "abfs": {
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{place}/account",
            "AZURE_STORAGE_ACCOUNT_NAME": "account",
            "AZURE_STORAGE_ACCOUNT_KEY": "a2V5",
            "AZURE_ALLOW_HTTP": "true",
        },
    }


@pytest.fixture
def bucket(served, monkeypatch):
    """Its folder, and its address."""
    protocol, folder, given = served
    monkeypatch.setenv("FLYWHEEL_STORAGE_OPTIONS", json.dumps(given))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("FLYWHEEL_PSEUDONYM_KEY", "0123456789abcdef" * 2)
    return folder, f"{protocol}://bucket"


def write_log(path: Path, names: range) -> None:
    lines = [
        {
            "schema": SCHEMA,
            "interaction": f"i{name}",
            "timestamp": "2026-11-20T12:00:00Z",
            "messages": [{"role": "user", "content": f"question {name}"}],
            "response": "answer",
            "signals": {"rating": 1},
        }
        for name in names
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "no json\n")


def test_intake_writes_what_it_writes_to_a_disk(bucket, tmp_path):
    log, there, here = tmp_path / "log.jsonl", f"{bucket[1]}/store", str(tmp_path / "store")
    write_log(log, range(40))
    for store in (there, here):
        first = ingest(str(log), store, "r1", now=NOW, batch_rows=15)
        assert (first.accepted, first.duplicates, first.quarantined) == (40, 0, {"not_json": 1})
        again = ingest(str(log), store, "r1", now=NOW, batch_rows=15)  # a repeated attempt
        assert (again.accepted, again.duplicates, sum(again.new_rows.values())) == (40, 0, 0)
        assert again.snapshot.interactions.version == first.snapshot.interactions.version
    write_log(log, range(30, 50))
    for store in (there, here):
        more = ingest(str(log), store, "r2", now=NOW)
        assert (more.accepted, more.duplicates) == (10, 10)
    for table in TABLES:
        both = [delta_table.read(delta_table.latest(store, table)) for store in (there, here)]
        assert both[0].num_rows and both[0].equals(both[1])


def test_racing_writers_write_each_id_once(bucket):
    folder, address = bucket
    store = f"{address}/raced"
    delta_table.latest(store, "quarantine")

    def write(start):
        one = rows(*(f"{number:02}" for number in range(start, start + 10)))
        if start % 2:
            return delta_table.append(store, "quarantine", one, f"w{start}").inserted
        ids = one["quarantine_id"].combine_chunks()
        return streamed_append.append(store, "quarantine", ids, lambda: iter(one.to_batches()), f"w{start}").inserted

    with ThreadPoolExecutor(4) as pool:
        written = sum(pool.map(write, range(12)))
    latest = delta_table.latest(store, "quarantine")
    assert written == delta_table.count(latest) == 21
    assert delta_table.read(latest)["quarantine_id"].to_pylist() == [f"{number:02}" for number in range(21)]
    files = list(folder.glob("raced/quarantine/*.parquet"))
    assert len(files) == latest.version  # who lost a race took its file away


def test_a_file_that_takes_several_parts_to_upload(bucket):
    schema = SCHEMAS["quarantine"]
    names = [f"{number:06}" for number in range(12_000)]
    column = {field.name: names for field in schema} | {"line": range(12_000)}
    random = Random(1)
    column["row"] = [random.randbytes(400).hex() for _ in names]
    table = pa.table({field.name: pa.array(column[field.name], field.type) for field in schema}, schema)
    reference = delta_table.append(f"{bucket[1]}/large", "quarantine", table, "b").reference
    assert delta_table.read(reference).equals(table)
