"""The alert of a canary that did not promote: somebody should look, above all when it could not come to a verdict."""

from pathlib import Path

from flywheel.components.contracts.rollout import RolloutState
from flywheel.components.monitoring import alerts as alert_lines
from flywheel.components.store import location

_DO = {
    "time-out": "see which metric stayed unclear: give the step more requests, a larger share, or stop the candidate",
    "traffic-ended": "run the canary on more users; the candidate may be as good as production, but nothing shows it",
    "sample-ratio-mismatch": "find where users of one arm get lost (crashes, redirects, logging) before trusting it",
    "contaminated": "make the gateway sticky by user (session persistence or a header match); it splits requests",
    "unattributed": "log attributes.arm, or the model's digest as model_version, with every event",
    "no-latency": "log latency_ms with every event, or leave the latency metrics out of the policy",
    "blind": "bring the feedback store or Prometheus back before the next rollout",
    "changed-by-others": "let the GitOps tool ignore the rollout's fields (components/deployment/cluster/README.md)",
    "controller-silent": "look at KServe's controller: it does not act on the service",
    "not-sticky": "make the splitter send a user to one arm only, by the request's user",
}


def alert_of(state: RolloutState) -> alert_lines.Alert | None:
    """Make the alert of a finished rollout.

    Args:
        state: The rollout.

    Returns:
        A warning for a hold, a critical one for a rollback; None for a promotion or a rollout that still runs.
    """
    if state.decision not in ("hold", "rollback") or not state.reasons:
        return None
    held = state.decision == "hold"
    code = state.reasons[0].partition(":")[0]
    last = state.looks[-1] if state.looks else None
    return alert_lines.Alert(
        run_id=state.run_id,
        kind=f"canary_{state.decision}",
        severity="warning" if held else "critical",
        reason=f"canary_{code.replace('-', '_')}",
        summary=f"Canary of {state.service} {'held' if held else 'rolled back'}: {'; '.join(state.reasons)}",
        what_to_do=_DO.get(code, "production serves everybody again; read the canary's page before the next candidate"),
        at=last.at.isoformat() if last else "",
        evidence={
            "share": last.share if last else None,
            "users": dict(last.users) if last else {},
            "looks": len(state.looks),
            "metrics": {metric.name: metric.outcome for metric in last.metrics} if last else {},
        },
    )


def raise_alert(state: RolloutState, path: str, store: str) -> int:
    """Append the alert of a finished rollout, once per run however often the step runs.

    Args:
        state: The rollout.
        path: JSON-lines file; empty: `alerts.jsonl` in a store on this machine, nowhere for a remote one.
        store: Feedback store.

    Returns:
        Alerts written.

    Raises:
        ValueError: The file cannot be written.
    """
    alert = alert_of(state)
    folder = location.local_folder(store)
    target = path or (str(Path(folder) / "alerts.jsonl") if folder is not None else "")
    return alert_lines.append(target, [alert]) if alert is not None and target else 0
