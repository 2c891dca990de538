"""The audit finds what leaks, counts only what came through, leaves nothing behind, and its gate errs as it says."""

import ast
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.privacy import scrub
from flywheel.components.intake.privacy_audit import audit as audits
from flywheel.components.intake.privacy_audit import gate, host_rows, injection, report
from flywheel.components.intake.privacy_audit.canary import TYPES, Canary
from flywheel.components.intake.privacy_audit.controls import Control
from flywheel.components.intake.privacy_audit.leaks import leaked
from flywheel.components.intake.privacy_audit.stored_texts import StoredTexts
from flywheel.components.statistics.binomial_bounds import lower_bound
from flywheel.scripts.command.app import app

ROOT = Path(__file__).parents[2]
TIME = "2026-11-20T12:00:00Z"
FEW = {"canaries": 12, "rows": 30, "names": ("en_US", "de_DE"), "seed": 3}


def rows(count=20, **more):
    return [
        {
            "schema": "flywheel.feedback/v1",
            "interaction": f"i-{number}",
            "user": f"u{number}",
            "timestamp": TIME,
            "messages": [{"role": "user", "content": f"What is the refund period of plan {number}?"}],
            "response": "It is fourteen days.",
            "signals": {"rating": -1, "correction": "It is thirty days now.", "comment": "this is outdated"},
        }
        | more
        for number in range(count)
    ]


def log(path, values):
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return str(path)


def left_behind():
    return list(Path(tempfile.gettempdir()).glob(f"{audits._PREFIX}{os.getpid()}.*"))


def reached(path, seen):
    """Modules of ours that a module imports, through other modules of ours."""
    if path in seen:
        return
    seen.add(path)
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            base = ROOT / Path(*name.split(".")[1:])
            if name.startswith("flywheel.") and base.with_suffix(".py").exists():
                reached(base.with_suffix(".py"), seen)


def test_generators_and_recognizers_share_no_code():
    makers, finders = set(), set()
    for name in ("faker_canaries", "own_canaries", "controls", "leaks", "sentences"):
        reached(ROOT / f"components/intake/privacy_audit/{name}.py", makers)
    for path in (ROOT / "components/intake/privacy").glob("*.py"):
        reached(path, finders)
    assert len(makers) >= 6
    assert len(finders) >= 15
    assert not makers & finders


def test_an_audit_of_the_real_intake_passes_and_leaves_nothing_behind(tmp_path):
    found = audits.audit(log(tmp_path / "log.jsonl", rows()), **FEW)
    assert set(found.types) == set(TYPES)
    for kind, one in found.types.items():
        assert one.counted + one.lost == 12, kind
        if kind not in ("name_mid_sentence", "phone_national", "street_address"):
            assert one.replaced >= 11, (kind, one)
    assert found.types["name_mid_sentence"].replaced <= 2  # honest: no model, no recall
    assert {"messages[].content", "response", "signals.correction", "signals.comment", "unknown field"} <= set(
        found.places
    )
    assert found.over_scrubbed.counted > 400
    assert found.over_scrubbed.share < 0.05
    assert not left_behind()
    again = audits.audit(log(tmp_path / "log.jsonl", rows()), **FEW)
    assert report.document(again) == report.document(found)


def test_an_intake_that_finds_nothing_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(scrub, "FAMILIES", ())
    path = log(tmp_path / "log.jsonl", rows())
    found = audits.audit(path, kinds=("email", "card", "name_mid_sentence"), **FEW)
    assert found.types["card"].replaced == found.types["email"].replaced == 0
    with pytest.raises(gate.PersonalDataLeaks, match=r"card: 0 of 12.*left readable.*lower the type's threshold"):
        gate.raise_if_any(found)
    page = report.markdown(found)
    assert "| card **stops** | 12 | 0 |" in page
    assert report.document(found)["failing"].keys() == {"email", "card"}
    done = CliRunner().invoke(app, ["privacy", "audit", "--logs", path, "--canaries", "12", "--rows", "9"])
    assert done.exit_code == 1
    assert "leaks: email: 0 of" in done.output


def test_a_single_leaking_type_is_named(tmp_path, monkeypatch):
    kept = tuple(family for family in scrub.FAMILIES if family.name != "places")
    monkeypatch.setattr(scrub, "FAMILIES", kept)
    found = audits.audit(log(tmp_path / "log.jsonl", rows()), kinds=("ipv4", "street_address"), **FEW)
    assert set(gate.failing(found, {"ipv4": 0.7, "street_address": 0.7})) == {"street_address"}


def test_nothing_is_left_behind_when_intake_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(audits, "ingest", lambda *args: (_ for _ in ()).throw(IntakeError("on purpose")))
    with pytest.raises(IntakeError, match="on purpose"):
        audits.audit(log(tmp_path / "log.jsonl", rows()), kinds=("email",), **FEW)
    assert not left_behind()


def test_what_a_killed_audit_left_is_removed_by_the_next():
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folder = Path(tempfile.mkdtemp(prefix=f"{audits._PREFIX}{dead.pid}."))
    with audits._throw_away() as mine:
        assert mine.exists()
        assert mine.stat().st_mode & 0o077 == 0
        assert not folder.exists()
    assert not mine.exists()


def test_rows_of_which_nothing_is_kept_count_neither_way(tmp_path):
    found = audits.audit(log(tmp_path / "log.jsonl", rows(consent=False)), kinds=("email",), **FEW)
    assert found.types["email"].counted == 0
    assert found.types["email"].lost == 12
    assert "only 0 of 12 canaries came through" in gate.failing(found)["email"]


def test_the_users_own_formats(tmp_path):
    table = tmp_path / "log.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "timestamp", "messages", "response", "rating", "comment"])
        for number in range(12):
            said = json.dumps([{"role": "user", "content": f"How long does plan {number} last?"}])
            writer.writerow([number, TIME, said, "Two years or so.", 1, "thanks for nothing"])
    chat = [
        {
            "request": {"model": "m", "messages": [{"role": "user", "content": f"How long does plan {n} last?"}]},
            "response": {"id": f"c{n}", "created": 1763640000, "model": "m", "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "Two years or so."}}]},
        }
        for n in range(12)
    ]  # fmt: skip
    for path, place in (
        (str(table), "messages[].content"),
        (log(tmp_path / "c.jsonl", chat), "request.messages[].content"),
    ):
        found = audits.audit(path, kinds=("email", "iban"), **FEW)
        assert found.types["email"].counted >= 10
        assert found.types["email"].replaced == found.types["email"].counted
        assert found.places[place].counted > 0


def test_an_empty_log_is_refused(tmp_path):
    with pytest.raises(IntakeError, match="nothing to work on"):
        audits.audit(log(tmp_path / "log.jsonl", []))
    with pytest.raises(ValueError, match="unknown types"):
        audits.audit(log(tmp_path / "log.jsonl", rows(1)), kinds=("emial",))


@pytest.mark.parametrize(
    ("value", "stored", "gone"),
    [
        ("+49 30 1234567", "call [PHONE_1]", True),
        ("+49 30 1234567", "call +49301234567 now", False),
        ("+49 30 1234567", "call [PHONE_1]34567 now", True),  # under 60 %
        ("+49 30 1234567", "call [PHONE_1] 1234567 now", False),
        ("4111 1111 1111 1111", "card 4111-1111-1111-1111", False),
        ("a.b@example.org", "mail A.B@EXAMPLE.ORG", False),
    ],
)
def test_leaks_are_seen_in_any_spelling(value, stored, gone):
    assert leaked(Canary("any", value, value), stored, "") is not gone


def test_a_name_leaks_by_any_of_its_words_and_not_by_chance():
    canary = Canary("name_introduced", "Ann Lee", "", "en_US", ("Ann", "Lee"))
    assert leaked(canary, "it is [NAME_1] Lee", "")
    assert not leaked(canary, "annual leeway", "")
    assert not leaked(canary, "the lee side", "the lee side")


def test_markers_find_what_stands_behind_them_in_any_cell():
    items = [Canary("email", "a@b.example", "mail a@b.example"), Control("price", "$5", "it costs $5")]
    filled, planted = injection.plant(rows(2), items, seed=1)
    texts = StoredTexts(iter([json.dumps(filled[0]), json.dumps(filled[1]), "elsewhere: A@B.example"]))
    assert texts.holding(["a@b.example", "nobody@nowhere.example", "x"]) == [True, False, False]
    assert {one.item.kind for one in planted} == {"email", "price"}
    assert len({one.marker for one in planted}) == 2


def test_hosts_keep_their_own_fields():
    host = host_rows.Host({"a": "some words here", "b": json.dumps([{"c": "more words there"}]), "id": "xyz", "n": 4})
    assert [place.name for place in host.places] == ["a", "b[].c", "unknown field", "unknown nested field"]
    host.places[1].add("added")
    done = host.finished()
    assert json.loads(done["b"]) == [{"c": "more words there\nadded"}]
    assert (done["id"], done["n"], done["a"]) == ("xyz", 4, "some words here")


@pytest.mark.parametrize(("kind", "needed"), sorted(gate.DEFAULT_LEAST.items()))
def test_error_rates_of_the_gate(kind, needed):
    """A type just under its threshold passes in at most 5 % of audits; one that finds 99 % is stopped in at most 1 %."""
    n = audits.DEFAULT_CANARIES
    assert 1 - gate.chance_of_failure(needed - 1e-9, n, needed) <= 0.05
    assert gate.chance_of_failure(0.99, n, needed) <= 0.01
    hits = np.random.default_rng(5).binomial(n, needed - 0.001, 4000)
    passing = np.array([lower_bound(int(x), n) >= needed for x in range(n + 1)])
    assert passing[hits].mean() <= 0.06


def test_thresholds_are_read_strictly():
    assert gate.parse_least("card=0.5, street_address=0")["card"] == 0.5
    assert gate.parse_least("") == dict(gate.DEFAULT_LEAST)
    for wrong in ("cards=0.5", "card", "card=x", "card=1"):
        with pytest.raises(ValueError, match="TYPE=RECALL"):
            gate.parse_least(wrong)


class File:
    def __init__(self, path):
        self.path = str(path)
        self.metadata = {}
        self.metrics = {}

    def log_metric(self, name, value):
        self.metrics[name] = value


@pytest.mark.slow
def test_the_component_records_what_it_measured_also_when_it_stops(tmp_path, monkeypatch):
    from flywheel.components.intake.privacy_audit.component import audit_privacy
    from flywheel.components.store import lineage

    path, store = log(tmp_path / "log.jsonl", rows()), str(tmp_path / "store")
    page, document, metrics = File(tmp_path / "page"), File(tmp_path / "audit"), File(tmp_path / "metrics")

    def run(run_id, least):
        return audit_privacy.python_func(
            path, store, run_id, page, document, metrics, canaries=10, rows=20, least=least, seed=3
        )

    easy = ",".join(f"{kind}=0.3" for kind in gate.DEFAULT_LEAST)
    assert run("r1", easy) == "passed"
    assert json.loads(Path(document.path).read_text())["schema"] == "flywheel.privacy-audit/v1"
    assert metrics.metrics["recall_card"] >= 0.9
    with pytest.raises(gate.PersonalDataLeaks):
        run("r2", "")  # ten canaries cannot show 95 %
    records = {one.run_id: one.outcome for run_id in ("r1", "r2") for one in lineage.steps(store, run_id)}
    assert records == {"r1": "passed", "r2": "leaks"}
    assert Path(page.path).read_text().startswith("# Privacy audit")


def test_canaries_go_where_intake_keeps_rows_whole(tmp_path):
    row = {
        "interaction": "i1",
        "timestamp": "2026-11-20T09:30:00Z",
        "prompt": "What is it?",
        "response": "It is a test.",
    }
    bad = [{"a": 1}, row | {"interaction": "i2", "timestamp": "2999-01-01T00:00:00Z"}, row | {"timestamp": "yesterday"}]
    logs = tmp_path / "logs.jsonl"
    logs.write_text("\n".join(json.dumps(one) for one in [row, *bad]))
    found = audits.audit(str(logs), canaries=120)
    assert sum(one.lost for one in found.types.values()) < 0.1 * 120 * len(found.types)
    assert not gate.failing(found), gate.failing(found)


def test_logs_without_a_row_give_an_audit_of_nothing(tmp_path):
    (tmp_path / "empty.jsonl").write_bytes(b"")
    found = audits.audit_if_any(str(tmp_path / "empty.jsonl"), seed=7, canaries=10, rows=10)
    assert found.rows == 0 and report.document(found)["outcome"] == "nothing to audit"
    assert "Nothing to audit" in report.markdown(found)
