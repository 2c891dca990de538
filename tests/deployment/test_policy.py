from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from flywheel.components.deployment.canary import policy as policy_module
from flywheel.components.deployment.canary.metric_rule import MetricRule
from flywheel.components.deployment.canary.plan import plan
from flywheel.components.deployment.canary.policy import CanaryPolicy, Step, parse_shares
from flywheel.components.deployment.users.traffic_rate import users_per_day
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS

SHARES = (0.01, 0.05, 0.25, 0.5, 1.0)


def rule(policy: CanaryPolicy, name: str) -> MetricRule:
    return next(rule for rule in policy.metrics if rule.name == name)


def test_margins_keep_the_harm_to_everybody_inside_one_budget() -> None:
    policy = CanaryPolicy.for_shares(SHARES, harm_budget=0.05)
    bad, latency, engagement = (rule(policy, name) for name in ("bad_feedback", "latency", "engagement"))
    assert [bad.margin_at(step.following) for step in policy.steps] == pytest.approx([1.0, 0.2, 0.1, 0.05])
    assert [bad.free_at(step.following) for step in policy.steps] == [True, False, False, False]
    assert [latency.margin_at(step.following) for step in policy.steps] == pytest.approx([11, 3, 2, 1.5])
    assert [engagement.margin_at(step.following) for step in policy.steps] == pytest.approx([0, 0, 0.5, 0.75])
    assert policy.control_floor == 0.5


def test_the_packaged_policy_is_strict_and_a_budget_scales_all_of_it() -> None:
    packaged, wide = CanaryPolicy.for_shares(), CanaryPolicy.for_shares(harm_budget=0.02)
    assert tuple(step.share for step in packaged.steps) == SHARES[:-1]
    assert rule(packaged, "bad_feedback").margin == packaged.harm_budget == 0.01
    for one, two in zip(packaged.metrics, wide.metrics, strict=True):
        assert two.margin == pytest.approx(2 * one.margin)
        assert two.tolerance == pytest.approx(2 * one.tolerance)
    assert CanaryPolicy.for_shares(harm_budget=1.0).metrics  # capped, not refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"better": "higher"}, "lower values are better"),
        ({"estimator": "log_mean"}, "is a rate, not a log_mean"),
        ({"tolerance": 0.5}, "harm could be promoted"),
        ({"margin": 2.0}, "difference of at most 1"),
        ({"margin": 0}, "margin"),
        ({"measure": "joy"}, "measure"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(change: dict, message: str) -> None:
    given = {"name": "bad_feedback", "role": "guardrail", "better": "lower", "margin": 0.01}
    assert MetricRule.model_validate(given).estimator == "rate"
    with pytest.raises(ValueError, match=message):
        MetricRule.model_validate(given | change)


def test_a_policy_needs_guardrails_with_names_of_their_own_and_goals_enough() -> None:
    policy = CanaryPolicy.for_shares()
    with pytest.raises(ValueError, match="at least one guardrail"):
        CanaryPolicy.model_validate({**dict(policy), "metrics": policy.goals})
    with pytest.raises(ValueError, match="names must differ"):
        CanaryPolicy.model_validate({**dict(policy), "metrics": policy.metrics * 2})
    with pytest.raises(ValueError, match="there are 2 goals"):
        CanaryPolicy.model_validate({**dict(policy), "goals_needed": 3})
    with pytest.raises(ValueError, match="harm_budget"):
        CanaryPolicy.for_shares(harm_budget=-0.1)


@pytest.mark.parametrize("shares", [(0.5,), (0.1, 0.5), (0.5, 0.1, 1.0), (0.0, 1.0), (0.95, 1.0), (0.1, 1.2, 1.0)])
def test_bad_schedules_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="share|group"):
        CanaryPolicy.for_shares(shares)


def test_steps_that_do_not_follow_each_other_are_refused() -> None:
    given = {**dict(CanaryPolicy.for_shares()), "steps": (Step(share=0.1, following=0.5, minimum_users=5),)}
    with pytest.raises(ValueError, match="next step's share"):
        CanaryPolicy.model_validate(given)


def test_a_policy_reads_from_yaml_and_names_a_wrong_field(tmp_path) -> None:
    policy = CanaryPolicy.for_shares(SHARES)
    good = tmp_path / "policy.yaml"
    good.write_text(policy.to_json())  # JSON is YAML
    assert CanaryPolicy.from_yaml(good) == policy
    short = tmp_path / "short.yaml"
    short.write_text("shares: [0.1, 0.5, 1.0]\nalpha: 0.01\n")
    assert CanaryPolicy.from_yaml(short).metrics == CanaryPolicy.for_shares().metrics
    assert CanaryPolicy.for_shares(source=str(short)).steps[0].following == 0.5
    assert CanaryPolicy.for_shares((0.2, 1.0), source=str(short)).alpha == 0.01
    with pytest.raises(ValueError, match=r"none\.yaml is not a valid canary policy"):
        CanaryPolicy.from_yaml(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("steps: []\nalpa: 0.05\n")
    with pytest.raises(ValueError, match="alpa"):
        CanaryPolicy.from_yaml(bad)


def test_the_policy_of_the_readme_is_one(tmp_path) -> None:
    readme = (Path(policy_module.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    path = tmp_path / "policy.yaml"
    path.write_text(readme.split("```yaml\n")[1].split("```")[0])
    policy = CanaryPolicy.for_shares(source=str(path))
    assert policy.maturity == 86400
    assert [rule.name for rule in policy.metrics] == ["bad_feedback", "latency", "fewer_complaints"]
    path.write_text("alpha: 0.02")
    assert CanaryPolicy.from_yaml(path) == CanaryPolicy.for_shares().model_copy(update={"alpha": 0.02})


def test_shares_are_parsed() -> None:
    assert parse_shares("0.01, 0.5,1.0") == (0.01, 0.5, 1.0)
    with pytest.raises(ValueError, match="commas"):
        parse_shares("1%,5%")


def test_the_plan_says_users_and_days_and_when_the_traffic_may_not_suffice() -> None:
    lines = plan(CanaryPolicy.for_shares(SHARES), 50, 1000.0)
    assert "may end without a verdict" in lines[-1]
    assert "days at 1,000 new users a day" in lines[-2]
    assert "bad_feedback inside +1.0 points" in lines[3]
    assert "days: unknown" in plan(CanaryPolicy.for_shares(SHARES))[-1]
    own = CanaryPolicy.for_shares(SHARES).model_copy(update={"users_per_day": 10.0})
    assert "at 10 new users a day" in plan(own, users_per_day=1000.0)[-1]


def test_users_per_day_are_counted_in_the_log(tmp_path) -> None:
    store = str(tmp_path)
    assert users_per_day(store) is None
    start = datetime(2026, 11, 1, tzinfo=UTC)
    rows = [
        {name: "x" for name in SCHEMAS["interactions"].names if name not in ("timestamp", "consent")}
        | {"interaction_id": f"{user}-{day}", "subject": f"u{user + 3 * day}", "consent": True, "source": "log"}
        | {"timestamp": start + timedelta(days=day)}
        for day in range(11)
        for user in range(6)
    ]
    delta_table.append(store, "interactions", pa.Table.from_pylist(rows, SCHEMAS["interactions"]), "b")
    assert users_per_day(store) == pytest.approx(36 / 10)  # half of each day's users came the day before
