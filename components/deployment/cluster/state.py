"""The state of a rollout as an annotation of the served object: written in the same patch as the traffic it explains.

So there is no moment at which the two disagree: a step killed anywhere finds both or neither, and goes on from there.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from flywheel.components.contracts.document import Document
from flywheel.components.contracts.rollout import Look, RolloutState

ANNOTATION = "flywheel.feedback-flywheel.dev/rollout"
MANAGER = "feedback-flywheel-rollout"  # field manager of all our patches
# starting: the candidate comes up without traffic. ramping: a share is set. interrupted: the step was told to stop;
# traffic is back on production, a retry goes on at the same share. promoting, rolling-back: decided and written, KServe
# has not yet carried it out. done: nothing is left to do.
Phase = Literal["starting", "ramping", "interrupted", "promoting", "rolling-back", "done"]
_LAST_LOOKS = 3
_MOST_BYTES = 64 * 1024  # of 256 KiB that all annotations of an object may have


class ClusterRollout(Document):
    """A rollout as the cluster knows it."""

    schema_: Literal["flywheel.cluster-rollout/v1"] = Field(default="flywheel.cluster-rollout/v1", alias="schema")
    rollout: RolloutState
    mode: str
    phase: Phase
    step: int = Field(default=0, ge=0)  # of the ramp
    since: datetime | None = None  # API server's time at which the gateway was first seen to split as the step says
    production: str = ""  # name of production's predictor; most have none
    candidate: str  # name of the candidate's predictor
    candidate_uri: str
    production_uri: str
    holder: str = ""  # the process that may write: after a retry took over, a step taken for dead cannot
    production_revision: str = ""  # Knative
    candidate_revision: str = ""  # Knative

    def annotation(self) -> str:
        """Render for the annotation, in at most 64 KiB: of the looks only the last of each share and the newest."""
        looks = self.rollout.looks
        for kept in (_important(looks), looks[-_LAST_LOOKS:], looks[-1:], ()):
            short = self.model_copy(update={"rollout": self.rollout.model_copy(update={"looks": tuple(kept)})})
            text = short.model_dump_json(by_alias=True, exclude_defaults=False)
            if len(text.encode()) <= _MOST_BYTES:
                return text
        raise ValueError(f"the rollout's state of {len(text.encode())} bytes does not fit into an annotation")

    def but(self, **changes: Any) -> "ClusterRollout":
        """Return a copy with other values; those of `rollout` may be given by their names, too."""
        inner = {name: changes.pop(name) for name in ("looks", "decision", "reasons") if name in changes}
        if inner:
            changes["rollout"] = self.rollout.model_copy(update=inner)
        return self.model_copy(update=changes)


def read_state(served: dict[str, Any]) -> ClusterRollout | None:
    """Read the state of the last rollout from an object; None when there was none.

    Raises:
        ValueError: The annotation is not ours; the message says how to get rid of it.
    """
    text = served["metadata"].get("annotations", {}).get(ANNOTATION)
    if not text:
        return None
    try:
        return ClusterRollout.model_validate_json(text)
    except ValueError as error:
        name = served["metadata"].get("name", "?")
        raise ValueError(
            f"annotation {ANNOTATION} of {name} is no rollout state that this version reads: {error}; finish the "
            f"rollout with the version that wrote it, or set the traffic by hand and remove the annotation"
        ) from error


def _important(looks: tuple[Look, ...]) -> list[Look]:
    last = {look.share: number for number, look in enumerate(looks)}
    kept = {*last.values(), *range(max(0, len(looks) - _LAST_LOOKS), len(looks))}
    return [looks[number] for number in sorted(kept)]
