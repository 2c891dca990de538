"""Every figure a person reads first in the report, counted again from the artifacts by other means."""

import json
import re

import pytest
from datasets import load_from_disk

from flywheel.components.contracts.feedback import SIMULATED_SOURCE
from flywheel.components.store import delta_table
from flywheel.components.training.weights import model_digest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(params=("good", "harmful", "ambiguous"))
def told(tell, request):
    return tell(request.param)


@pytest.fixture
def figures(told):
    page = (told.folder / "report.html").read_text()
    return json.loads(re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)[1])


def rows(told, table):
    return delta_table.read(delta_table.latest(told.store, table)).to_pylist()


def test_records_and_quarantine(told, figures):
    lines = [line for line in (told.folder / "world" / "logs.jsonl").read_bytes().split(b"\n") if line.strip()]
    intake = next(border for border in figures["borders"] if border["step"] == "intake_feedback")
    quarantined = rows(told, "quarantine")
    assert intake["rows_in"] == len(lines)
    assert sum(intake["quarantined"].values()) == len(quarantined)
    for reason, count in intake["quarantined"].items():
        assert count == sum(row["reason"] == reason for row in quarantined)
    assert intake["accepted"] + intake["duplicates"] == len(lines) - len(quarantined)


def test_thumbs(told, figures):
    ratings = [
        row["value"] for row in rows(told, "feedback") if row["kind"] == "rating" and row["source"] != SIMULATED_SOURCE
    ]
    total = figures["satisfaction"]["total"]
    assert (total["up"], total["down"], total["neutral"]) == tuple(
        sum(value == wanted for value in ratings) for wanted in (1, -1, 0)
    )
    assert sum(period["rated"] for period in figures["satisfaction"]["periods"]) == len(ratings)


def test_routes_and_categories(told, figures):
    candidates = [row for row in rows(told, "candidates") if row["run_id"] == told.run_id]
    routes = figures["curation"]["routes"]
    assert {route: sum(row["route"] == route for row in candidates) for route in routes} == routes
    assert figures["trigger"]["have"] == routes["accept"]


def test_training_rows(told, figures):
    sft = load_from_disk(str(told.artifact("assemble-dataset/sft")))
    sources = figures["lineage"]["dataset"]["sources"]
    assert {source: sft["source"][:].count(source) for source in sources} == sources
    trained = set(sft["candidate_id"][:]) - {""}
    accepted = {row["candidate_id"] for row in rows(told, "candidates") if row["route"] == "accept"}
    assert trained <= accepted, "nothing trains that was not accepted"
    items = [json.loads(line) for line in told.artifact("assemble-dataset/evaluation").read_text().splitlines()]
    asked = {item["messages"][-1]["content"].casefold() for item in items}
    assert not asked & {prompt[-1]["content"].casefold() for prompt in sft["prompt"][:]}, "no question on both sides"


def test_accuracies(told, figures):
    _, *scores = [json.loads(line) for line in told.artifact("evaluate-models/scores").read_text().splitlines()]
    metrics = {metric["name"]: metric for metric in figures["verdict"]["metrics"]}
    for suite in ("changed", "untouched", "unseen"):
        items = [row for row in scores if row["suite"] == suite]
        metric = metrics[f"accuracy_{suite}"]
        assert metric["n"] == len(items)
        for arm in ("production", "candidate"):
            if metric[arm] is not None:
                assert metric[arm] == pytest.approx(sum(row[arm]["correct"] for row in items) / len(items))


def test_digests_are_those_of_the_files(told, figures):
    assert figures["lineage"]["weights"]["digest"] == model_digest(told.artifact("train-model/model"))
    assert figures["verdict"]["candidate_digest"] == figures["lineage"]["weights"]["digest"]
    parameters = json.loads((told.folder / "parameters.json").read_text())
    assert figures["verdict"]["production_digest"] == model_digest(parameters["production_model"])


def test_canary_users(told, figures):
    if figures["canary"] is None:
        assert told.decision == "held"
        return
    turns = [row for row in rows(told, "interactions") if row["source"] == SIMULATED_SOURCE]
    assert len(turns) == figures["canary"]["requests"]
    for arm, counted in figures["satisfaction"]["canary"].items():
        mine = [row for row in turns if json.loads(row["attributes"])["arm"] == arm]
        assert (len(mine), len({row["subject"] for row in mine})) == (counted["answers"], counted["users"])


def test_attack_shares(told, figures):
    if figures["attack"] is None:
        pytest.skip("this story was not attacked")
    lines = [json.loads(line) for line in told.artifact("attack-models/attacked").read_text().splitlines()]
    for name, suite, flag in (("attack_success", "attack", "unsafe"), ("benign_pass", "benign", "correct")):
        mine = [line for line in lines if line.get("suite") == suite]
        for arm, share in figures["attack"]["shares"].get(name, {}).items():
            assert share == pytest.approx(sum(line[arm][flag] for line in mine) / len(mine))


def test_predicted_and_observed(told, figures):
    """Predicted from the document that was written before the canary, observed from the rollout's last look."""
    if figures["canary"] is None:
        assert figures["prediction"] is None
        assert figures["predicted_lines"] == []
        return
    prediction = json.loads(told.artifact("predict-canary/prediction").read_text())
    last = json.loads(told.artifact("run-canary/rollout").read_text())["looks"][-1]
    said = {metric["name"]: metric for metric in prediction["metrics"]}
    seen = {metric["name"]: metric for metric in last["metrics"]}
    assert {line["name"] for line in figures["predicted_lines"]} == set(said) | set(seen)
    for line in figures["predicted_lines"]:
        name = line["name"]
        limits = [said[name][part] for part in ("difference", "lower", "upper")]
        assert [line[part] for part in ("predicted", "predicted_lower", "predicted_upper")] == limits
        assert line["observed"] == seen[name]["difference"]
        if line["outcome"] != "unknown":
            inside = line["expected_lower"] <= line["observed"] <= line["expected_upper"]
            assert line["outcome"] == ("held" if inside else "missed")
            assert line["expected_lower"] <= limits[1]
            assert line["expected_upper"] >= limits[2]
    total = figures["prediction_check"]["history"][-1]
    outcomes = [line["outcome"] for line in figures["predicted_lines"]]
    assert (total["held"], total["checked"]) == (outcomes.count("held"), len(outcomes) - outcomes.count("unknown"))
    steps = {step["step"]: step["offset"] for step in figures["steps"]}
    assert steps["predict_canary"] < steps["run_canary"] < steps["check_prediction"]


def test_replayed_prompts(told, figures):
    """The prompts that were replayed are people's recent, consented turns, at most a few of each user."""
    if figures["prediction"] is None:
        return
    prediction, people = figures["prediction"], {}
    for row in rows(told, "interactions"):
        if row["source"] != SIMULATED_SOURCE and row["consent"]:
            people.setdefault(row["subject"], []).append(row["timestamp"].date().isoformat())
    assert (
        0 < prediction["users"] <= prediction["prompts"] <= min(prediction["settings"]["size"], 2 * prediction["users"])
    )
    assert prediction["users"] <= len(people)
    days = [day for own in people.values() for day in own]
    assert min(days) <= prediction["since"] <= prediction["until"] <= max(days)


def test_the_page_needs_nothing_from_outside(told):
    page = (told.folder / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]+"', page)
    assert "url(" not in page.replace("url(#", "").replace("url(data:", "")
