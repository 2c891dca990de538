"""What a canary leaves behind: its state, its chart, its figures and its step record."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.contracts.rollout import Action, RolloutState
from flywheel.components.deployment.canary import ramp_chart
from flywheel.components.deployment.canary.canary import CanaryRun
from flywheel.components.deployment.canary.policy import CanaryPolicy


@dataclass(frozen=True)
class Places:
    """Where the outputs go."""

    rollout: str
    ramp: str


def recorded(
    places: Places, store: str, run_id: str, policy: CanaryPolicy, run: Callable[[Path, CanaryPolicy], CanaryRun]
) -> CanaryRun:
    """Run a canary and write its outputs and its step record.

    Args:
        places: Output files.
        store: Feedback store.
        run_id: Run.
        policy: The rules.
        run: Runs the canary in a working folder, which is kept next to the output between attempts of the same run.

    Returns:
        What `run` returned.
    """
    from flywheel.components.store import lineage

    started = datetime.now(UTC)
    target = Path(places.rollout)
    result = run(target.with_name(f"{target.name}-work-{run_id}"), policy)
    result.state.write(target)
    ramp_chart.write(result.state, places.ramp)
    lineage.record_step(
        store,
        StepRecord(
            run_id=run_id,
            step="run_canary",
            started_at=started,
            finished_at=datetime.now(UTC),
            outcome=result.state.decision,
            metrics=figures(result),
            details={
                "rollout": result.state.model_dump(mode="json", by_alias=True),
                "timeline": timeline(result.state),
                "plan": result.plan,
                "policy": policy.model_dump(mode="json"),
            },
        ),
    )
    return result


def figures(result: CanaryRun) -> dict[str, float]:
    """Return the numbers that a run's page shows."""
    state = result.state
    values: dict[str, float] = {
        "looks": float(len(state.looks)),
        "requests": float(len(result.turns)),
        "users": float(len({turn.subject for turn in result.turns})),
        "seconds": round(result.seconds, 2),
        "feedback_rows": float(result.feedback_rows),
        "largest_share": max((look.share for look in state.looks), default=0.0),
    }
    if state.looks:
        for metric in state.looks[-1].metrics:
            for part in ("production", "candidate", "difference", "lower", "upper"):
                value = getattr(metric, part)
                if value is not None:
                    values[f"{metric.name}_{part}"] = round(float(value), 5)
    return values


def timeline(state: RolloutState) -> list[dict[str, Any]]:
    """Return the looks at which something changed, and the last one."""
    events = []
    for number, look in enumerate(state.looks, start=1):
        if look.action is not Action.HOLD or number == len(state.looks):
            events.append(
                {
                    "look": number,
                    "at": look.at.isoformat(),
                    "share": look.share,
                    "requests": sum(look.requests.values()),
                    "users": look.users,
                    "action": str(look.action),
                    "reasons": list(look.reasons),
                }
            )
    return events
