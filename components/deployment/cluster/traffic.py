"""What every way of splitting traffic has in common: patches of one object, and what its status says."""

from dataclasses import dataclass
from typing import Any, Protocol

from flywheel.components.deployment.cluster.state import ClusterRollout

Json = dict[str, Any]


@dataclass(frozen=True)
class Candidate:
    """What shall be served: `name` for its predictor, `uri` of the registered version."""

    name: str
    uri: str


@dataclass(frozen=True)
class Observed:
    """What the cluster says about a rollout, and whether it says it about the newest change.

    Attributes:
        settled: The controller has acted on the newest generation; everything below may be judged only then.
        production: Production can serve.
        candidate: The candidate can serve.
        percent: Share of the requests that goes to the candidate, as the gateway has it; None: it does not say.
        failed: Why the candidate will not come up; "": nothing says so.
        words: The same for people.
    """

    settled: bool
    production: bool
    candidate: bool
    percent: int | None
    failed: str = ""
    words: str = ""


class Traffic(Protocol):
    """A way to split traffic. All methods are pure: they read objects and return merge patches of the served one."""

    mode: str

    def check(self, served: Json, candidate: Candidate) -> None:
        """Refuse a spec that cannot be rolled out on.

        Raises:
            RolloutRefusedError: With a reason code and what to do.
        """
        ...

    def check_split(self, served: Json, route: Json | None) -> None:
        """Refuse a service that is ready, but whose gateway could not split.

        Raises:
            RolloutRefusedError: With a reason code and what to do.
        """
        ...

    def unsteady(self, served: Json) -> str:
        """Say what of a change that came before the rollout is not finished; "": nothing."""
        ...

    def production_uri(self, served: Json) -> str:
        """Return the place of the model that serves now."""
        ...

    def start(self, served: Json, candidate: Candidate) -> Json:
        """Bring the candidate up with no traffic."""
        ...

    def share(self, served: Json, state: ClusterRollout, percent: int) -> Json:
        """Send `percent` of the requests to the candidate."""
        ...

    def promote(self, served: Json, state: ClusterRollout) -> Json:
        """Send everything to the candidate, without a restart of its pods."""
        ...

    def roll_back(self, served: Json, state: ClusterRollout) -> Json:
        """Send everything to production, at once."""
        ...

    def restored(self, served: Json, state: ClusterRollout) -> bool:
        """Whether, after a settled rollback, `tidy` may be applied without moving traffic to the candidate."""
        ...

    def tidy(self, served: Json, state: ClusterRollout) -> Json | None:
        """Return what is left to clear after a settled rollback; None: nothing."""
        ...

    def wanted(self, served: Json, state: ClusterRollout) -> int | None:
        """Read the share that the spec asks for now; None: somebody took the candidate out, or changed it."""
        ...

    def observe(self, served: Json, route: Json | None, state: ClusterRollout) -> Observed:
        """Read the status."""
        ...

    def remember(self, served: Json, state: ClusterRollout) -> Json:
        """Return what of the status must be kept in the state: names that the controller gave. Settled status only."""
        ...


def percent_of(share: float) -> int:
    """Turn a share into the whole percent that Kubernetes takes.

    Raises:
        ValueError: It is no whole percent between 1 and 99.
    """
    percent = round(share * 100)
    if not 1 <= percent <= 99 or abs(share * 100 - percent) > 1e-6:
        raise ValueError(f"share {share}: KServe splits in whole percents; give shares such as 0.01,0.05,0.25,0.5,1.0")
    return percent


def settled(served: Json) -> bool:
    """Whether the status is about the newest spec; an older one must not be judged."""
    return int(served.get("status", {}).get("observedGeneration", 0)) >= int(served["metadata"].get("generation", 0))


def condition(served: Json, kind: str) -> Json:
    """Return a condition of the status; empty when it is not there."""
    found = [one for one in served.get("status", {}).get("conditions") or [] if one.get("type") == kind]
    return found[0] if found else {}


def is_true(served: Json, kind: str) -> bool:
    """Whether a condition is there and true."""
    return condition(served, kind).get("status") == "True"


def load_failure(model_status: Json | None) -> str:
    """Read from a `modelStatus` why a model will not load; "": nothing says so."""
    status = model_status or {}
    broken = status.get("transitionStatus") in ("BlockedByFailedLoad", "InvalidSpec")
    if not broken and (status.get("states") or {}).get("targetModelState") != "FailedToLoad":
        return ""
    info = status.get("lastFailureInfo") or {}
    words = ": ".join(str(info[key]) for key in ("reason", "message") if info.get(key))
    return words or str(status.get("transitionStatus") or "FailedToLoad")
