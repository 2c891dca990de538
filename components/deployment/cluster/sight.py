"""Reading a service while a rollout runs: only what the newest status says, and only as long as the rollout is ours."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from flywheel.components.deployment.cluster.refusal import RolloutLostError, RolloutRefusedError
from flywheel.components.deployment.cluster.served import Served, writers
from flywheel.components.deployment.cluster.state import ClusterRollout, read_state
from flywheel.components.deployment.cluster.traffic import Json, Observed, Traffic, is_true, settled


@dataclass(frozen=True)
class Pace:
    """How often and how long, in seconds."""

    poll: float = 5.0  # between two reads of the service while waiting for the controller
    look: float = 60.0  # between two looks at the users
    ready: float = 1800.0  # for the candidate to come up
    settle: float = 300.0  # for the controller to carry out a change
    step: float = 86_400.0  # at one share without a verdict: then HOLD


class Sight:
    """Reads of one service.

    Args:
        served: The InferenceService.
        pace: Intervals and time limits.
        keep_alive: Called at every rest; renews the lease and raises when it is lost.
    """

    def __init__(self, served: Served, pace: Pace, keep_alive: Callable[[], None]) -> None:
        self._served, self.pace, self._keep_alive = served, pace, keep_alive
        self.last = Observed(settled=False, production=False, candidate=False, percent=None)
        self.served: Json | None = None  # as last read or written; may be old

    def rest(self) -> None:
        """Wait for the next poll."""
        self._keep_alive()
        time.sleep(self.pace.poll)

    def see(self, traffic: Traffic, state: ClusterRollout) -> tuple[Observed, Json]:
        """Read the service.

        Raises:
            RolloutLostError: Its state is not the one we wrote last.
        """
        served = self.served = self._served.read()
        there = read_state(served)
        if there is None or there.annotation() != state.annotation():
            raise RolloutLostError(
                f"the rollout on {self._served.name} is no longer ours: its state was changed by somebody else"
            )
        route = self._served.route() if traffic.mode == "Standard" else None
        self.last = traffic.observe(served, route, state)
        return self.last, served

    def until(
        self, done: Callable[[Observed, Json], bool], traffic: Traffic, state: ClusterRollout, seconds: float
    ) -> tuple[Observed | None, Json]:
        """Read until a condition holds.

        Returns:
            What was seen then, None when it did not come to hold in time; and the service as last read.
        """
        deadline = time.monotonic() + seconds
        while True:
            seen, served = self.see(traffic, state)
            if done(seen, served):
                return seen, served
            if time.monotonic() > deadline:
                return None, served
            self.rest()

    def steady(self, traffic: Traffic, served: Json) -> Json:
        """Wait until production is whole, as the newest status says.

        Raises:
            RolloutRefusedError: It does not become so.
        """
        deadline = time.monotonic() + self.pace.settle
        while not (settled(served) and is_true(served, "Ready") and not traffic.unsteady(served)):
            if time.monotonic() > deadline:
                observed = served.get("status", {}).get("observedGeneration")
                raise RolloutRefusedError(
                    "PRODUCTION_NOT_READY",
                    f"{self._served.name} is not Ready, or KServe does not act on it (generation "
                    f"{served['metadata'].get('generation')}, observed {observed}). {traffic.unsteady(served)} A "
                    "rollout needs a production that serves: mend it first",
                )
            self.rest()
            served = self._served.read()
        return served

    def changed_by(self, traffic: Traffic, served: Json) -> str:
        """Say that somebody else changed the traffic, and who may have."""
        path = ("spec", "canary") if traffic.mode == "Standard" else ("spec", "predictor")
        names = writers(served, *path) or "unknown"
        return (
            f"changed-by-others: the traffic is not what the rollout set (other writers of {'.'.join(path)}: {names}); "
            "a GitOps tool must ignore these fields while a rollout runs (components/deployment/cluster/README.md)"
        )

    def progress(self, served: Json) -> str:
        """Say how far the controller is."""
        return (
            f"Generation {served['metadata'].get('generation')}, observed "
            f"{served.get('status', {}).get('observedGeneration')}; {self.last.percent} % on the candidate. "
            f"{self.last.words}"
        )
