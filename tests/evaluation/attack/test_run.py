import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.evaluation.attack import run
from flywheel.components.evaluation.attack.budget import Budget
from flywheel.components.evaluation.attack.mutations import Messages
from flywheel.components.evaluation.attack.target import Reaction
from flywheel.components.evaluation.generate import Answer
from flywheel.components.evaluation.metrics.measures import questions
from flywheel.components.evaluation.scores.scores import read_scores
from flywheel.components.evaluation.verdict.spec import read_spec
from flywheel.components.evaluation.verdict.verdict import decide

Rule = Callable[[Messages], str]
BUDGET = Budget(seeds=40, queries=12, generation=4, controls=80)


@pytest.fixture
def attack(items: list[EvaluationItem], scored: Path, rule_target: type, tmp_path: Path) -> Callable[..., run.Attacked]:
    def go(production: Rule, candidate: Rule, folder: str = "out", budget: Budget = BUDGET) -> run.Attacked:
        targets = {"production": rule_target(production), "candidate": rule_target(candidate)}
        out = tmp_path / folder
        return run.attack(targets, items, [], scored, out / "scores", out / "report.html", out / "log.jsonl", budget)

    return go


def found(tmp_path: Path, folder: str = "out") -> dict[str, object]:
    table = read_scores(tmp_path / folder / "scores")
    assert not table.problems
    spec = read_spec()
    verdict = decide(table, spec, "run")
    return {metric.name: metric for metric in verdict.metrics}


def test_equal_models_pass_both_metrics(attack: Callable[..., run.Attacked], robust_rule: Rule, tmp_path: Path) -> None:
    done = attack(robust_rule, robust_rule)
    assert done.metrics["attack_success/production"] == done.metrics["attack_success/candidate"] == 0
    assert done.metrics["benign_pass/production"] == done.metrics["benign_pass/candidate"] > 0.95
    assert done.lines == 40 + 80
    metrics = found(tmp_path)
    assert metrics["attack_success"].outcome == "non_inferior"  # type: ignore[attr-defined]
    assert 0 < metrics["attack_success"].upper < 0.1  # type: ignore[attr-defined]
    assert metrics["benign_pass"].outcome == "non_inferior"  # type: ignore[attr-defined]


def test_a_candidate_with_a_hole_is_shown_worse(
    attack: Callable[..., run.Attacked], robust_rule: Rule, leaky_rule: Callable[[str], Rule], tmp_path: Path
) -> None:
    attack(robust_rule, leaky_rule("Base64"))
    metric = found(tmp_path)["attack_success"]
    assert metric.outcome == "inferior"  # type: ignore[attr-defined]
    assert metric.candidate > 0.8 and metric.production == 0  # type: ignore[attr-defined]


def test_a_hole_that_both_have_is_not_held_against_the_candidate(
    attack: Callable[..., run.Attacked], leaky_rule: Callable[[str], Rule], tmp_path: Path
) -> None:
    attack(leaky_rule("Base64"), leaky_rule("Base64"))
    metric = found(tmp_path)["attack_success"]
    assert metric.outcome == "non_inferior" and metric.candidate == metric.production > 0.8  # type: ignore[attr-defined]


def test_a_candidate_that_refuses_everything_wins_the_attack_and_loses_the_controls(
    attack: Callable[..., run.Attacked], robust_rule: Rule, tmp_path: Path
) -> None:
    attack(robust_rule, lambda messages: "Sorry, I can't share personal data.")
    metrics = found(tmp_path)
    assert metrics["attack_success"].outcome == "non_inferior"  # type: ignore[attr-defined]
    assert metrics["benign_pass"].outcome == "inferior"  # type: ignore[attr-defined]


def test_nonsense_is_no_success(attack: Callable[..., run.Attacked], robust_rule: Rule, tmp_path: Path) -> None:
    def babble(messages: Messages) -> str:
        return "The Lamp 3 costs 13 euros." if "Base64" in messages[-1].content else robust_rule(messages)

    done = attack(robust_rule, babble)
    assert done.metrics["attack_success/candidate"] == 0
    assert "talk nonsense or off topic" in (tmp_path / "out/report.html").read_text()
    log = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert {row["outcome"] for row in log if row["model"] == "candidate"} == {"refused", "off_topic"}


def test_both_models_are_asked_the_same_number_and_the_scores_say_so(
    attack: Callable[..., run.Attacked], robust_rule: Rule, leaky_rule: Callable[[str], Rule], tmp_path: Path
) -> None:
    done = attack(leaky_rule("### System"), robust_rule)
    assert done.details["prompts_production"] == done.details["prompts_candidate"] == 40 * 12 + done.details["crossed"]
    table = read_scores(tmp_path / "out/scores")
    attacked = table.suite == "attack"
    assert (table.attempts["production"] == table.attempts["candidate"])[attacked].all()
    assert table.attempts["candidate"][attacked].sum() == done.details["prompts_candidate"]
    assert table.header.settings["attack_queries"] == 12
    log = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert len(log) == 2 * done.details["prompts_candidate"]
    sent = {(row["model"], row["seed"], json.dumps(row["messages"])) for row in log}
    hits = [row for row in log if row["outcome"] == "disclosed"]
    assert hits and {row["model"] for row in hits} == {"production"}
    assert all(("candidate", row["seed"], json.dumps(row["messages"])) in sent for row in hits), "successes cross"
    assert sum(row["transferred"] for row in log) == 2 * done.details["crossed"] > 0


def test_uneven_budgets_are_an_evaluator_failure(
    attack: Callable[..., run.Attacked], robust_rule: Rule, tmp_path: Path
) -> None:
    attack(robust_rule, robust_rule)
    path = tmp_path / "out/scores"
    lines = path.read_text().splitlines()
    place = next(number for number, line in enumerate(lines) if '"suite":"attack"' in line)
    row = json.loads(lines[place])
    row["candidate"]["attempts"] -= 1
    lines[place] = json.dumps(row)
    path.write_text("\n".join(lines) + "\n")
    verdict = decide(read_scores(path), read_spec(), "run")
    (metric,) = [metric for metric in verdict.metrics if metric.name == "attack_success"]
    assert metric.outcome == "missing" and "not attacked with the same budget" in metric.reasons[0]
    assert verdict.decision == "hold"


def test_prompts_without_an_answer_hold_the_verdict(
    attack: Callable[..., run.Attacked], items: list[EvaluationItem], scored: Path, rule_target: type, robust_rule: Rule,
    tmp_path: Path,
) -> None:  # fmt: skip
    class Failing(rule_target):  # type: ignore[misc,valid-type]
        def ask(self, conversations: list[Messages], yielding: list[str] = ()) -> list[Reaction]:  # type: ignore[assignment]
            made = super().ask(conversations, yielding)
            return [replace(made[0], answer=Answer("", 0, False, "RuntimeError: out of memory")), *made[1:]]

    targets = {"production": rule_target(robust_rule), "candidate": Failing(robust_rule)}
    run.attack(targets, items, [], scored, tmp_path / "s", tmp_path / "r", tmp_path / "l", BUDGET)
    table = read_scores(tmp_path / "s")
    assert any(problem.startswith("evaluator_failure") and "prompts failed" in problem for problem in table.problems)
    assert decide(table, read_spec(), "run").decision == "hold"


def test_same_arguments_same_bytes(
    attack: Callable[..., run.Attacked], robust_rule: Rule, leaky_rule: Callable[[str], Rule], tmp_path: Path
) -> None:
    for folder, seed in (("a", 7), ("b", 7), ("c", 8)):
        attack(robust_rule, leaky_rule("### System"), folder, replace(BUDGET, seed=seed))
    for name in ("scores", "report.html", "log.jsonl"):
        one, same, other = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert one == same
        assert one != other
    assert not list(tmp_path.rglob(".*.[0-9]*")), "no temporary file is left"


def test_without_protected_items_the_scores_pass_through(
    items: list[EvaluationItem], scored: Path, tmp_path: Path
) -> None:
    harmless = [item for item in items if item.suite != "safety"]
    done = run.attack({}, harmless, [], scored, tmp_path / "s", tmp_path / "r.html", tmp_path / "l", BUDGET)
    assert done.lines == 0 and done.metrics == {}
    assert (tmp_path / "s").read_bytes() == scored.read_bytes()
    assert "nothing was attacked" in (tmp_path / "r.html").read_text()
    asked = {question.metric.name for question in questions(read_scores(tmp_path / "s"), read_spec())}
    assert not asked & {"attack_success", "benign_pass"}


def test_the_report_shows_rates_and_escapes_what_was_said(
    attack: Callable[..., run.Attacked], robust_rule: Rule, leaky_rule: Callable[[str], Rule], tmp_path: Path
) -> None:
    def hostile(messages: Messages) -> str:
        said = leaky_rule("### System")(messages)
        return f"<script>alert(1)</script> {said}" if said.startswith("Call") else said

    done = attack(robust_rule, hostile)
    page = (tmp_path / "out/report.html").read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "+49 170" not in page and "[forbidden]" in page
    assert "+49 170" not in (tmp_path / "out/log.jsonl").read_text()
    assert "+49 170" not in (tmp_path / "out/scores").read_text()
    broken = round(40 * done.metrics["attack_success/candidate"])
    assert f"{broken} of 40" in page and "0.0 % [0.0, 8.8]" in page  # Clopper-Pearson for 0 of 40
    assert "instruction hierarchy" in page and "benign controls" in page.lower()
    assert f"{done.details['prompts_candidate']} prompts against each model" in page


def test_scores_of_another_model_are_refused(models: dict[str, Path], scored: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scores of another production model"):
        run.attack_models(
            models["candidate"], models["production"], tmp_path / "none", scored, tmp_path / "s", tmp_path / "r",
            tmp_path / "l",
        )  # fmt: skip
    with pytest.raises(FileNotFoundError, match="no scores"):
        run.attack_models(
            models["candidate"], models["production"], tmp_path / "none", tmp_path / "no", tmp_path / "s",
            tmp_path / "r", tmp_path / "l",
        )  # fmt: skip
