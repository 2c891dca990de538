from pathlib import Path

import pytest
from typer.testing import CliRunner

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.evaluation.metrics.finding import Levels
from flywheel.components.evaluation.verdict.plan import further_items, plan
from flywheel.components.evaluation.verdict.spec import GauntletSpec, MetricSpec, read_spec
from flywheel.scripts.command import gauntlet


def items(suite: str, count: int, size: int = 1, **more: object) -> list[EvaluationItem]:
    return [
        EvaluationItem.model_validate(
            {"item_id": f"{suite}{n}", "suite": suite, "messages": [{"role": "user", "content": f"{n}?"}],
             "references": ["x"], "cluster": f"{suite}{n // size}", **more}
        )
        for n in range(count)
    ]  # fmt: skip


def metric(**changes: object) -> MetricSpec:
    plain = {"name": "m", "measure": "accuracy", "role": "guardrail", "direction": "higher", "suites": ["untouched"]}
    return MetricSpec.model_validate({**plain, "margin": 0.05, **changes})


PRIMARY = metric(name="p", role="primary", suites=["changed"], margin=0.0, effect=0.1)


def needed(found: MetricSpec, made: list[EvaluationItem], **spec: object) -> int:
    whole = GauntletSpec.model_validate({"name": "s", "alpha": 0.05, "power": 0.8, "metrics": [PRIMARY, found], **spec})
    return next(one for one in plan([*items("changed", 500), *made], whole) if one.name == found.name).needed


def test_needs_are_those_of_the_tests() -> None:
    from flywheel.components.evaluation.metrics.accuracy import exact_items_needed
    from flywheel.components.evaluation.metrics.event_rate import items_needed

    levels = Levels(0.05, 0.9)  # a primary and a guardrail share the loss of power
    alone, threes = items("untouched", 300), items("untouched", 300, 3)
    assert needed(metric(), alone) == 59, "log(.05) / log(.95): the least that can pass, without any flip"
    assert needed(metric(), threes) == 3 * 59, "the worst case counts clusters"
    assert needed(metric(expected=0.02), alone) == exact_items_needed(0.05, 0.02, levels) > 59
    flips = metric(measure="negative_flips", direction="lower", expected=0.01)
    assert needed(flips, alone) == items_needed(0.01, 0.05, levels)
    unsafe = metric(measure="unsafe", direction="lower", suites=["safety"], margin=0.01)
    assert needed(unsafe, items("safety", 10)) == 299, "0 of 299: at most 1 %"
    assert needed(unsafe, items("safety", 10, 2)) == 598, "two items a cluster"
    assert needed(metric(min_items=400), alone) == 400
    assert needed(metric(min_clusters=150), threes) == 450
    assert needed(metric(measure="latency_p95", direction="lower", margin=1.2), alone) == 100


def test_primary_plans_for_its_effect_and_clusters() -> None:
    spec = GauntletSpec.model_validate({"name": "s", "alpha": 0.05, "power": 0.8, "metrics": [PRIMARY, metric()]})

    def primary(size: int, icc: float) -> int:
        return plan(items("changed", 100, size), spec.model_copy(update={"icc": icc}))[0].needed

    independent = primary(1, 0.3)
    assert independent == pytest.approx((1.645 + 1.2816) ** 2 * (0.1 - 0.01) / 0.01, abs=1)
    assert primary(5, 0.0) == independent and primary(5, 0.5) == pytest.approx(independent * 3, abs=2)


def test_slices_are_planned_as_they_are_asked() -> None:
    sliced = metric(name="s", role="slice", slice_by="topic", min_items=40)
    made = [*items("untouched", 100, slices={"topic": "a"}), *items("unseen", 100)[:0]]
    made += [item.model_copy(update={"item_id": f"b{n}", "slices": {"topic": "b" if n else "c"}})
             for n, item in enumerate(items("untouched", 30))]  # fmt: skip
    whole = GauntletSpec.model_validate(
        {"name": "s", "alpha": 0.05, "power": 0.8, "metrics": [PRIMARY, metric(), sliced]}
    )
    planned = {one.name: one for one in plan([*items("changed", 500), *made], whole)}
    assert planned["s[topic=a]"].n == 100 and planned["s[topic=a]"].enough
    assert planned["s[topic=other]"].n == 30 and not planned["s[topic=other]"].enough


def test_what_later_steps_make_is_not_planned_unless_it_is_there() -> None:
    attack = metric(name="a", measure="attack_success", direction="lower", suites=["attack"], margin=0.1)
    whole = GauntletSpec.model_validate(
        {"name": "s", "alpha": 0.05, "power": 0.8, "metrics": [PRIMARY, metric(), attack]}
    )
    without = plan([*items("changed", 500), *items("untouched", 100)], whole)
    assert [one.name for one in without] == ["p", "m"]
    assert [one.name for one in plan([*items("changed", 500), *items("attack", 5)], whole)] == ["p", "m"]
    aimed = metric(name="e", measure="entity", direction="lower", suites=["entity"], margin=0.1)
    probed = whole.model_copy(update={"metrics": (PRIMARY, metric(), aimed)})
    assert [one.name for one in plan(items("changed", 500), probed)] == ["p", "m"]
    assert [one.name for one in plan([*items("changed", 500), *items("entity", 5)], probed)] == ["p", "m", "e"]


def test_further_items_serve_wider_metrics_too() -> None:
    assert further_items([(("untouched",), 100), (("untouched", "unseen"), 120), (("safety",), 7)]) == 127
    assert further_items([(("untouched", "unseen"), 80), (("untouched",), 100)]) == 100
    assert further_items([]) is None


def test_command_prints_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(item.model_dump_json() for item in items("untouched", 60)))
    done = CliRunner().invoke(gauntlet.app, ["plan", "--items", str(path)])
    assert done.exit_code == 1
    assert "underpowered: " in done.output and 'golden items with suite "safety"' in done.output
    rich = [*items("changed", 200), *items("untouched", 400), *items("safety", 100), *items("unseen", 200)]
    path.write_text("\n".join(item.model_dump_json() for item in rich))
    done = CliRunner().invoke(gauntlet.app, ["plan", "--items", str(path)])
    assert done.exit_code == 0 and "enough items for every metric" in done.output
    assert len(done.output.splitlines()) == 2 + len(plan(rich, read_spec()))
