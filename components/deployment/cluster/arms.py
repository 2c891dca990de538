"""What the arms of a rollout are called by the cluster, by metrics and by events."""

from dataclasses import dataclass

from flywheel.components.deployment.canary.turn import Arm
from flywheel.components.deployment.cluster.standard import backend
from flywheel.components.deployment.cluster.state import ClusterRollout


@dataclass(frozen=True)
class ArmNames:
    """Model versions by which events name an arm; a name that both have names neither."""

    production: frozenset[str]
    candidate: frozenset[str]

    def arm_of(self, version: str, told: object = None) -> Arm | None:
        """Tell the arm of an event.

        Args:
            version: Model version that the event names.
            told: What the event itself says its arm is, if anything.

        Returns:
            The arm; None: nobody can tell.
        """
        if told in ("production", "candidate"):
            return "candidate" if told == "candidate" else "production"
        if version in self.candidate - self.production:
            return "candidate"
        return "production" if version in self.production - self.candidate else None


def backends(state: ClusterRollout) -> dict[Arm, str]:
    """Return what metrics call the arms: Kubernetes Services in Standard mode, revisions in Knative mode."""
    if state.mode == "Knative":
        return {"production": state.production_revision, "candidate": state.candidate_revision}
    service = state.rollout.service
    return {"production": backend(service, state.production), "candidate": backend(service, state.candidate)}


def arm_names(state: ClusterRollout) -> ArmNames:
    """Return what events may call the arms: digest, address, predictor, backend or revision."""
    rollout, called = state.rollout, backends(state)
    production = {rollout.production_digest, state.production_uri, state.production, called["production"]}
    candidate = {rollout.candidate_digest, state.candidate_uri, state.candidate, called["candidate"]}
    return ArmNames(frozenset(production - {""}), frozenset(candidate - {""}))
