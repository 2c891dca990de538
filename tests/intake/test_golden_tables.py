"""What intake writes is kept to the byte: stores of earlier versions must recognise their rows in later ones.

The expected tables were written by version 0.2.0. Whoever has to change them breaks the recognition of duplicates in
every store there is; write how such a store is brought over before doing that.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flywheel.components.intake import ingest as ingest_module
from flywheel.components.intake.ingest import ingest
from flywheel.components.store import delta_table

GOLDEN = Path(__file__).parent / "golden" / "tables"
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(("batch_rows", "part_rows"), [(3, 2), (5000, 1), (5000, 1000)])
def test_the_tables_of_a_log(batch_rows, part_rows, tmp_path, monkeypatch):
    monkeypatch.setattr(ingest_module, "_PART", part_rows)
    monkeypatch.setenv("FLYWHEEL_PSEUDONYM_KEY", "0123456789abcdef" * 2)
    store = str(tmp_path / "store")
    summary = ingest(str(GOLDEN / "contract.jsonl"), store, "run", now=NOW, batch_rows=batch_rows)
    counted = summary.record("run").model_dump(mode="json", include={"rows", "metrics", "details"})
    tables = {
        name: delta_table.read(delta_table.latest(store, name)).to_pylist()
        for name in ("interactions", "feedback", "quarantine")
    }
    expected = json.loads((GOLDEN / "contract.jsonl.tables.json").read_text())
    assert json.loads(json.dumps({"counted": counted, **tables}, default=str)) == expected
