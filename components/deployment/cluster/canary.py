"""The canary step on KServe: check, take the lease, run the state machine, judge real users; and its exit task."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flywheel.components.cluster.access import Right, demand_kind, demand_rights
from flywheel.components.cluster.client import Cluster
from flywheel.components.cluster.errors import NotFoundError
from flywheel.components.cluster.resources import HTTP_ROUTES, INFERENCE_SERVICES, LEASES
from flywheel.components.contracts.rollout import RolloutState
from flywheel.components.deployment.canary.canary import CanaryRun
from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.components.deployment.cluster.machine import Machine
from flywheel.components.deployment.cluster.mode import candidate_of
from flywheel.components.deployment.cluster.prometheus import PRESETS, ErrorAlarm, Prometheus, Queries
from flywheel.components.deployment.cluster.rollout_lease import RolloutLease, guarded
from flywheel.components.deployment.cluster.served import Served
from flywheel.components.deployment.cluster.sight import Pace
from flywheel.components.deployment.cluster.state import read_state
from flywheel.components.deployment.cluster.store_turns import StoreTurns
from flywheel.components.deployment.cluster.traffic import Candidate
from flywheel.components.deployment.cluster.users import Users

RIGHTS = (
    Right("get", INFERENCE_SERVICES),
    Right("patch", INFERENCE_SERVICES),
    Right("get", HTTP_ROUTES),
    Right("get", LEASES),
    Right("create", LEASES),
    Right("update", LEASES),
)


@dataclass(frozen=True)
class Model:
    """A registered version: where KServe loads it from, and the SHA-256 of its files."""

    uri: str
    digest: str


@dataclass(frozen=True)
class Setting:
    """Where and how a rollout runs.

    Attributes:
        namespace: Of the InferenceService; empty: the step's own.
        prometheus: Address of Prometheus; empty: the feedback store alone decides.
        queries: YAML file with PromQL; empty: the preset of the service's mode.
        maturity_s: Age at which a user is judged, seconds.
        pace: Intervals and time limits.
    """

    namespace: str = ""
    prometheus: str = ""
    queries: str = ""
    maturity_s: float = 1800.0
    pace: Pace = field(default_factory=Pace)


def run(
    cluster: Cluster,
    candidate: Model,
    production: Model,
    service: str,
    store: str,
    run_id: str,
    policy: CanaryPolicy,
    setting: Setting,
    alerts: str = "",
    tell: Callable[[str], None] = print,
) -> CanaryRun:
    """Roll a registered version out on an InferenceService, and decide.

    Args:
        cluster: Connection to the service's namespace.
        candidate: Version to roll out.
        production: Version that serves now, as the registry says.
        service: Name of the InferenceService.
        store: Feedback store that intake writes the users' events to.
        run_id: Run; a killed step of the same run goes on where it was.
        policy: The rules.
        setting: Where and how.
        alerts: JSON-lines file for the alert of a hold or a rollback.
        tell: Receives lines of progress.

    Returns:
        The canary with its final state; `turns` are those that the last look of this process judged.

    Raises:
        ValueError: A share, name or address is not what KServe takes, or the service serves another model than the
            registry's production (`RolloutRefusedError` and others).
        LeaseHeldError: Another run rolls out on this service.
        RolloutLostError: Somebody else took over while it ran.
        NotSettledError: Decided, but KServe did not carry it out in time.
        ClusterError: The API server refuses or cannot be asked.
    """
    from flywheel.components.deployment.canary import canary_alert
    from flywheel.components.deployment.canary.plan import plan
    from flywheel.components.deployment.users.traffic_rate import users_per_day

    started = time.monotonic()
    wanted = candidate_of(service, candidate.uri, candidate.digest)
    served = Served(cluster, service)
    for resource in (INFERENCE_SERVICES, LEASES):
        demand_kind(cluster, resource)
    demand_rights(cluster, RIGHTS)
    policy = policy.model_copy(update={"maturity": setting.maturity_s})
    digests = production.digest, candidate.digest
    users = Users(
        StoreTurns(store, service, digests),
        policy,
        f"{service}:{candidate.digest}",
        digests,
        alarm(setting, cluster.namespace, policy, served),
    )
    fresh = RolloutState(
        run_id=run_id,
        service=service,
        production_digest=production.digest,
        candidate_digest=candidate.digest,
        shares=(*(step.share for step in policy.steps), 1.0),
        error_rate=users.error_rate,
    )
    expected = plan(policy, None, users_per_day(store))
    for line in expected:
        tell(line)
    lease = RolloutLease(cluster, service, run_id)
    machine = Machine(served, fresh, wanted, policy, users, setting.pace, lease.keep_alive, tell, production.uri)
    guarded(machine, lease, machine.run, tell)
    state = machine.state.rollout
    canary_alert.raise_alert(state, alerts, store)
    return CanaryRun(state=state, turns=users.turns, feedback_rows=0, seconds=time.monotonic() - started, plan=expected)


def restore_traffic(
    cluster: Cluster, service: str, run_id: str, pace: Pace | None = None, tell: Callable[[str], None] = print
) -> str:
    """End what a run left behind on a service: for exit tasks, after whatever happened.

    Args:
        cluster: Connection to the service's namespace.
        service: Name of the InferenceService.
        run_id: Run whose rollout it is; another's is left alone.
        pace: Time limits.
        tell: Receives lines of progress.

    Returns:
        What the rollout came to: `promote`, `rollback`, `hold`; "" when this run has no rollout there.

    Raises:
        LeaseHeldError: Another run rolls out on this service.
        NotSettledError: All traffic was asked back, but KServe did not carry it out in time.
        ClusterError: The API server refuses or cannot be asked.
    """
    served = Served(cluster, service)
    try:
        left = read_state(served.read())
    except NotFoundError:
        left = None
    lease = RolloutLease(cluster, service, run_id)
    if left is None or left.rollout.run_id != run_id:
        tell(f"run {run_id} has no rollout on {service}: nothing to restore")
        lease.clear()
        return ""
    if left.phase == "done":
        lease.clear()
    else:
        machine = Machine(
            served,
            left.rollout,
            Candidate(left.candidate, left.candidate_uri),
            CanaryPolicy.for_shares(left.rollout.shares),
            None,
            pace or Pace(),
            lease.keep_alive,
            tell,
        )
        guarded(machine, lease, machine.finish, tell)
        left = machine.state
    tell(f"{service}: {left.rollout.decision}")
    return left.rollout.decision


def alarm(setting: Setting, namespace: str, policy: CanaryPolicy, served: Served) -> ErrorAlarm | None:
    """Make the kill switch on Prometheus's error rate, and ask Prometheus once, before anything is changed.

    Args:
        setting: Address and queries.
        namespace: Of the service.
        policy: Has the limits.
        served: The service, whose mode chooses the preset.

    Returns:
        The alarm; None without an address.

    Raises:
        ValueError: The address or the queries file is none.
        PrometheusError: Prometheus cannot be asked.
    """
    from flywheel.components.deployment.cluster.mode import mode_of

    if not setting.prometheus:
        return None
    prometheus = Prometheus(setting.prometheus)
    prometheus.number("vector(1)")
    preset = PRESETS[mode_of(served.read()).mode]
    return ErrorAlarm(
        prometheus, Queries.from_yaml(setting.queries) if setting.queries else preset, namespace, policy.kill
    )
