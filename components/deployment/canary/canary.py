"""The canary step: check the inputs, take the lease, run the rollout, write feedback, state and chart."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flywheel.components.contracts.rollout import RolloutState
from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.components.deployment.canary.turn import Turn

LEASE_S = 120.0


@dataclass(frozen=True)
class CanaryRun:
    """A finished canary."""

    state: RolloutState
    turns: list[Turn]
    feedback_rows: int  # written to the store
    seconds: float
    plan: list[str]


def run(
    candidate: str | Path,
    production: str | Path,
    traffic: str,
    registry: str,
    service: str,
    store: str,
    run_id: str,
    folder: Path,
    policy: CanaryPolicy,
    driver: str = "local",
    seed: int = 7,
    alerts: str = "",
    tell: Callable[[str], None] = print,
) -> CanaryRun:
    """Roll a candidate out to rising shares of the users, and decide.

    Args:
        candidate: Candidate's model folder.
        production: Production's model folder.
        traffic: JSON lines of `UserQuestion`.
        registry: Registry that holds the lease.
        service: Name of the served model; one rollout at a time.
        store: Feedback store, for the users' feedback.
        run_id: Run; a killed step of the same run goes on.
        folder: Working folder, kept between attempts.
        policy: The rules.
        driver: `local`.
        seed: Seed of the users' reactions.
        alerts: JSON-lines file for the alert of a hold or a rollback; empty: `alerts.jsonl` in a local store.
        tell: Receives lines of progress.

    Returns:
        The canary with its final state.

    Raises:
        ValueError: No traffic, a bad traffic file or an unknown driver.
        FileNotFoundError: A model or the traffic file is missing.
        LeaseHeldError: Another run rolls out on this service.
        ServerFailedError: Production cannot be served.
    """
    import time

    from flywheel.components.deployment.canary import canary_alert, feedback_rows
    from flywheel.components.deployment.canary.journal import Journal
    from flywheel.components.deployment.canary.judge import Judge
    from flywheel.components.deployment.canary.plan import plan
    from flywheel.components.deployment.canary.rollout import Rollout, stopped_on_exit
    from flywheel.components.deployment.driver import LocalDriver, local_or_refuse
    from flywheel.components.deployment.users.simulated_users import SimulatedUsers, read_traffic
    from flywheel.components.deployment.users.traffic_rate import users_per_day
    from flywheel.components.training.weights import model_digest

    local_or_refuse(driver)
    if not traffic.strip():
        raise ValueError(
            "a canary needs users: give `traffic`, a JSON-lines file of {subject, messages, references}, one question "
            "per line (references: answers the user takes as right; may be left out)"
        )
    visits = read_traffic(traffic)
    digests = model_digest(production), model_digest(candidate)
    salt = f"{service}:{digests[1]}:{seed}"
    judge = Judge(policy, salt, production_digest=digests[0], candidate_digest=digests[1])
    fresh = RolloutState(
        run_id=run_id,
        service=service,
        production_digest=digests[0],
        candidate_digest=digests[1],
        policy_digest=policy.digest,
        shares=(*(step.share for step in policy.steps), 1.0),
        error_rate=judge.error_rate,
    )
    expected = plan(policy, len(visits), users_per_day(store))
    for line in expected:
        tell(line)
    local = LocalDriver(production, candidate, salt, folder)
    started = time.monotonic()
    with _leased(registry, service, run_id) as keep_alive, stopped_on_exit(local.stop_servers):
        rollout = Rollout(
            policy,
            judge,
            local,
            Journal(folder),
            fresh,
            lambda url, past: SimulatedUsers(visits, url, service, seed, past),
            keep_alive,
            tell,
        )
        state = asyncio.run(rollout.run())
        seconds = time.monotonic() - started
        rows = feedback_rows.write(store, run_id, rollout.turns, visits)
    canary_alert.raise_alert(state, alerts, store)
    return CanaryRun(state=state, turns=rollout.turns, feedback_rows=rows, seconds=seconds, plan=expected)


@contextmanager
def _leased(registry: str, service: str, run_id: str) -> Iterator[Callable[[], None]]:
    """Hold the service's lease; the value renews it."""
    from flywheel.components.registry.open import open_registry

    place = open_registry(registry)
    lease = place.acquire_lease(f"service/{service}", run_id, LEASE_S)
    held = [lease]

    def renew() -> None:
        held[0] = place.renew_lease(held[0], LEASE_S)

    try:
        yield renew
    finally:
        place.release_lease(held[0])
