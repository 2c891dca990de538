"""The A/B of two live versions: verdicts, refusals, ages, and the same answer from store and log."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from flywheel.components.contracts.ab import AbMetric, AbVerdict
from flywheel.components.deployment.ab import ab_compare, ab_page, ab_step, ab_traffic
from flywheel.components.deployment.ab.ab_rules import AbRules
from flywheel.components.deployment.component import compare_live_versions
from flywheel.components.store import lineage

A, B = "a" * 64, "b" * 64
START = datetime(2026, 11, 1, tzinfo=UTC)
RULES = AbRules.from_yaml()


def log_lines(
    users: int,
    bad: tuple[float, float] = (0.1, 0.1),
    share_b: float = 0.5,
    slower: float = 1.0,
    seed: int = 0,
    days: float = 20.0,
) -> list[dict]:
    """Users who come evenly over the days, ask one to four times within hours, and are of one version each."""
    random, lines = Random(seed), []
    for number in range(users):
        is_b = random.random() < share_b
        at = START + timedelta(days=days * number / users)
        for part in range(random.randint(1, 4)):
            signals: dict = {"latency_ms": 100 * (slower if is_b else 1) * random.lognormvariate(0, 0.3)}
            signals["tokens"] = random.randint(5, 30)
            draw = random.random()
            if draw < bad[is_b]:
                signals |= random.choice([{"rating": -1}, {"correction": "no"}, {"implicit": ["rephrase"]}])
            elif draw > 0.9:
                signals["rating"] = 1
            lines.append(
                {
                    "interaction": f"{number}-{part}",
                    "user": f"user {number}",
                    "timestamp": (at + timedelta(hours=part)).isoformat(),
                    "model_version": B if is_b else A,
                    "messages": [{"role": "user", "content": "How?"}],
                    "response": "So.",
                    "signals": signals,
                }
            )
    return sorted(lines, key=lambda line: line["timestamp"])


def write(folder: Path, lines: list[dict]) -> str:
    path = folder / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return str(path)


def verdict_of(folder: Path, lines: list[dict], **given) -> AbVerdict:
    options = {"store": "", "log": write(folder, lines), "since": "", "until": "", "simulated": False}
    read = {name: given.pop(name, value) for name, value in options.items()}
    comparison = {"run_id": "r", "version_a": A, "version_b": B, "share_b": 0.5, "rules": RULES} | given
    return ab_compare.compare(ab_traffic.read(**read), ab_compare.Comparison(**comparison))


def metric(verdict: AbVerdict, name: str) -> AbMetric:
    return next(one for one in verdict.metrics if one.name == name)


def test_the_better_version_is_named_whichever_letter_it_has(tmp_path: Path) -> None:
    lines = log_lines(5000, bad=(0.3, 0.1))
    found = verdict_of(tmp_path, lines)
    assert found.decision == "b_better"
    assert found.reasons[0].startswith("better: B at fewer_complaints: A 0.3")
    swapped = verdict_of(tmp_path, lines, version_a=B, version_b=A)
    assert swapped.decision == "a_better"
    one, two = metric(found, "fewer_complaints"), metric(swapped, "fewer_complaints")
    assert one.upper is not None
    assert one.upper < 0
    assert two.lower is not None
    assert two.lower > 0
    assert one.difference == pytest.approx(-two.difference)


def test_equal_versions_are_equivalent_once_enough_users_came(tmp_path: Path) -> None:
    wide = RULES.model_copy(update={"metrics": tuple(rule.scaled(5) for rule in RULES.metrics)})
    few, many = log_lines(300), log_lines(4000)
    early, late = verdict_of(tmp_path, few, rules=wide), verdict_of(tmp_path, many, rules=wide)
    assert early.decision == "unsettled"
    assert early.reasons[0].startswith("unclear: fewer_complaints unclear")
    assert re.match(
        r"outlook: two equal versions need about [\d,]+ users in all \(for \w+\); 29\d came", early.reasons[1]
    )
    assert late.decision == "equivalent"
    assert {one.outcome for one in late.metrics} == {"equivalent"}


def test_a_winner_that_is_slower_is_no_winner(tmp_path: Path) -> None:
    found = verdict_of(tmp_path, log_lines(4000, bad=(0.3, 0.1), slower=1.5))
    assert found.decision == "unsettled"
    assert found.reasons[0].startswith("trade-off: A is better at latency")
    unsure = verdict_of(tmp_path, log_lines(2500, bad=(0.4, 0.1), slower=1.09, seed=3))
    assert unsure.decision == "unsettled"
    assert unsure.reasons[0].startswith("not-shown-safe: B is better at fewer_complaints")
    assert "latency" in unsure.reasons[0]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"version_b": "c" * 64}, "version-missing", r"there are: bbbbbbbbbbbbbbbb \(\d+ users\)"),
        ({"version_b": "bbbbbbb", "version_a": "bbbbbbbb"}, "version-missing", "the same version"),
        ({"share_b": 0.4}, "sample-ratio-mismatch", "promised 40%"),
        ({"until": "2026-11-01T12:00:00Z"}, "too-few-users", "100 of each are needed"),
    ],
)
def test_data_that_allow_no_verdict_are_refused(tmp_path: Path, change: dict, code: str, words: str) -> None:
    found = verdict_of(tmp_path, log_lines(4000), **change)
    assert found.decision == "refused"
    assert found.metrics == ()
    (reason,) = [reason for reason in found.reasons if reason.startswith(code)]
    assert re.search(words, reason)


def test_users_who_met_both_versions_are_refused_and_a_few_are_left_in_their_first(tmp_path: Path) -> None:
    lines = log_lines(4000)
    for count, decision in ((20, "unsettled"), (200, "refused")):
        moved = {f"user {number}" for number in range(0, 4000, 4000 // count)}
        mixed = [
            line | {"model_version": A if line["model_version"] == B else B}
            if line["user"] in moved and not line["interaction"].endswith("-0")
            else line
            for line in lines
        ]
        found = verdict_of(tmp_path, mixed)
        assert found.decision == decision, found.reasons
        assert 0.3 * count < found.contaminated <= count  # users with one turn cannot be moved
        if decision == "refused":
            assert found.reasons[0].startswith("contaminated: ")


def test_a_log_that_runs_backwards_is_refused_with_its_lines(tmp_path: Path) -> None:
    lines = log_lines(1000)
    lines[100], lines[900] = lines[900], lines[100]
    found = verdict_of(tmp_path, lines)
    assert found.decision == "refused"
    assert found.reasons[0].startswith("out-of-order: line 102 (")


def test_only_what_users_did_while_young_counts_and_only_users_old_enough(tmp_path: Path) -> None:
    lines = log_lines(2000, bad=(0.0, 0.0))
    before = verdict_of(tmp_path, lines)
    late = [
        {
            "interaction": line["interaction"],
            "timestamp": (datetime.fromisoformat(line["timestamp"]) + timedelta(hours=hours)).isoformat(),
            "signals": {"rating": -1},
        }
        for line, hours in zip(lines[:400], [1, 40] * 200, strict=True)
    ]
    both = sorted(lines + late, key=lambda line: line["timestamp"])
    found = verdict_of(tmp_path, both)
    shares = [metric(found, "bad_feedback").a, metric(found, "bad_feedback").b]
    turns = sum(found.turns.values())
    assert 0.5 * 200 / turns < sum(shares) / 2 < 1.5 * 200 / turns  # half of the 400 came in time
    assert found.matured["a"] < found.users["a"]
    assert sum(before.matured.values()) == pytest.approx(2000 * 19 / 20, rel=0.02)


def test_store_and_log_give_the_same_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flywheel.components.intake import ingest

    monkeypatch.setenv("FLYWHEEL_PSEUDONYM_KEY", "a key for tests only")
    lines = log_lines(600, bad=(0.3, 0.1))
    log = write(tmp_path, lines)
    store = str(tmp_path / "store")
    ingest.ingest(log, store, "run-1")
    comparison = ab_compare.Comparison("r", A, B, 0.5, RULES)
    one = ab_compare.compare(ab_traffic.read("", log, "", "", False), comparison)
    two = ab_compare.compare(ab_traffic.read(store, "", "", "", False), comparison)
    assert two.decision == one.decision
    assert two.matured == one.matured
    for first, second in zip(one.metrics, two.metrics, strict=True):
        if first.name != "latency_p95":  # its yardstick depends on the order of turns of the same second
            assert second.model_dump() == pytest.approx(first.model_dump())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"share_b": 1.0}, r"share_b must lie in \(0, 1\)"),
        ({"version_b": A}, "two different versions"),
        ({"since": "yesterday"}, "since must be an ISO 8601 time"),
        ({"since": "2026-11-05", "until": "2026-11-02"}, "must come before until"),
        ({"log": "/none.jsonl"}, "no log at"),
    ],
)
def test_arguments_that_are_wrong_raise(tmp_path: Path, given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        verdict_of(tmp_path, log_lines(3), **given)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"line 1: no feedback record"),
        (json.dumps(log_lines(1)[0] | {"user": None}), "needs `user` and `model_version`"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "log.jsonl").write_text(line + "\n")
    with pytest.raises(ValueError, match=message):
        ab_traffic.read("", str(tmp_path / "log.jsonl"), "", "", False)


@pytest.mark.parametrize(
    ("change", "message"),
    [("alpha: 0.6", "alpha"), ("metrics: []", "metrics"), ("alfa: 1", "alfa"), ("[", "no valid rules")],
)
def test_bad_rules_are_named(tmp_path: Path, change: str, message: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(change)
    with pytest.raises(ValueError, match=message):
        AbRules.from_yaml(path)


def test_the_component_writes_verdict_page_and_record(tmp_path: Path) -> None:
    class Artifact:
        def __init__(self, name: str) -> None:
            self.path = str(tmp_path / name)
            self.metadata: dict = {}
            self.logged: dict = {}

        def log_metric(self, name: str, value: float) -> None:
            self.logged[name] = value

    verdict, page, metrics = Artifact("verdict"), Artifact("page"), Artifact("metrics")
    store = str(tmp_path / "store")
    log = write(tmp_path, log_lines(3000, bad=(0.4, 0.1)))
    decided = compare_live_versions.python_func(A[:8], B[:8], store, "look-1", verdict, page, metrics, log=log)
    found = AbVerdict.read(verdict.path)
    assert decided == found.decision == verdict.metadata["decision"]
    assert found.version_a == A
    assert metrics.logged["users_a"] == found.users["a"]
    assert metrics.logged["fewer_complaints_upper"] < 0
    (record,) = lineage.steps(store, "look-1")
    assert record.outcome == decided
    assert AbVerdict.model_validate(record.details["verdict"]) == found
    html = Path(page.path).read_text()
    assert html.count("<svg") == len(found.metrics)
    assert "<script" not in html
    assert "http" not in html
    assert "nan" not in html


@pytest.mark.slow
def test_the_pipeline_takes_a_look_in_kfps_local_runner(tmp_path: Path) -> None:
    from kfp import local

    from flywheel.pipelines.compare_versions import compare_versions

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=True)
    log, store = write(tmp_path, log_lines(5000, bad=(0.3, 0.1))), str(tmp_path / "store")
    task = compare_versions(version_a=A, version_b=B, store=store, run_id="look-1", log=log)
    assert task.output == "b_better"
    (record,) = lineage.steps(store, "look-1")
    assert (record.step, record.outcome) == ("compare_live_versions", "b_better")


def test_the_page_escapes_and_says_why_nothing_was_compared(tmp_path: Path) -> None:
    found = verdict_of(tmp_path, log_lines(300), version_b="<b>other")
    page = ab_page.render(found)
    assert "refused" in page
    assert "<b>other" not in page
    assert "&lt;b&gt;other" in page


STEP = """
import json, sys
from flywheel.components.deployment.ab import ab_step
given = json.loads(sys.argv[1])
print("ready", flush=True)
print(ab_step.look(**given).decision, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.05, 0.4, 0.9])
def test_a_killed_look_leaves_no_half_output_and_a_retry_is_the_same_look(tmp_path: Path, delay: float) -> None:
    log = write(tmp_path, log_lines(3000, bad=(0.3, 0.1)))
    given = {
        "store": str(tmp_path / "store"), "run_id": "look-1", "versions": [A, B], "log": log,
        "verdict": str(tmp_path / "verdict"), "page": str(tmp_path / "page"),
    }  # fmt: skip
    first = subprocess.Popen([sys.executable, "-c", STEP, json.dumps(given)], stdout=subprocess.PIPE)
    assert first.stdout is not None
    assert first.stdout.readline() == b"ready\n"
    time.sleep(delay)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    if (tmp_path / "verdict").exists():
        AbVerdict.read(tmp_path / "verdict")
    done = subprocess.run([sys.executable, "-c", STEP, json.dumps(given)], capture_output=True, text=True, check=True)
    again = ab_step.look(**given | {"verdict": str(tmp_path / "v2"), "page": str(tmp_path / "p2")})
    assert done.stdout.split() == ["ready", again.decision]
    assert (tmp_path / "verdict").read_bytes() == (tmp_path / "v2").read_bytes()
    assert (tmp_path / "page").read_bytes() == (tmp_path / "p2").read_bytes()
    assert len(lineage.steps(given["store"], "look-1")) == 1
