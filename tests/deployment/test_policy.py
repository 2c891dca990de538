import pytest

from flywheel.components.deployment.plan import plan
from flywheel.components.deployment.policy import CanaryPolicy, Step, parse_shares

SHARES = (0.01, 0.05, 0.25, 0.5, 1.0)


def test_margins_keep_the_harm_to_everybody_inside_one_budget() -> None:
    policy = CanaryPolicy.for_shares(SHARES, harm_budget=0.05)
    for step, following in zip(policy.steps, SHARES[1:], strict=True):
        assert step.bad_feedback_margin * following <= 0.05 + 1e-12
    assert [step.bad_feedback_margin for step in policy.steps] == pytest.approx([1.0, 0.2, 0.1, 0.05])
    assert policy.control_floor == 0.5


@pytest.mark.parametrize("shares", [(0.5,), (0.1, 0.5), (0.5, 0.1, 1.0), (0.0, 1.0), (0.95, 1.0), (0.1, 1.2, 1.0)])
def test_bad_schedules_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="share|group"):
        CanaryPolicy.for_shares(shares)


def test_margins_may_not_widen() -> None:
    narrow, wide = (
        Step(share=share, minimum_users=5, bad_feedback_margin=margin, error_margin=0.1, latency_margin=2.0)
        for share, margin in ((0.1, 0.1), (0.5, 0.2))
    )
    with pytest.raises(ValueError, match="must not widen"):
        CanaryPolicy(steps=(narrow, wide))


def test_a_policy_reads_from_yaml_and_names_a_wrong_field(tmp_path) -> None:
    policy = CanaryPolicy.for_shares(SHARES)
    good = tmp_path / "policy.yaml"
    good.write_text(policy.to_json())  # JSON is YAML
    assert CanaryPolicy.from_yaml(good) == policy
    bad = tmp_path / "bad.yaml"
    bad.write_text("steps: []\nalpa: 0.05\n")
    with pytest.raises(ValueError, match="alpa"):
        CanaryPolicy.from_yaml(bad)


def test_shares_are_parsed() -> None:
    assert parse_shares("0.01, 0.5,1.0") == (0.01, 0.5, 1.0)
    with pytest.raises(ValueError, match="commas"):
        parse_shares("1%,5%")


def test_the_plan_says_when_the_traffic_may_not_suffice() -> None:
    policy = CanaryPolicy.for_shares(SHARES).model_copy(update={"users_per_day": 1000.0})
    assert "may end without a verdict" in plan(policy, 50)[-1]
    assert "days" in plan(policy)[-1]
