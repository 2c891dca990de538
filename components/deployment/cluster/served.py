"""The served object: read with its route, and changed only by compare-and-set together with the rollout's state."""

from collections.abc import Callable

from flywheel.components.cluster.client import Cluster
from flywheel.components.cluster.errors import ConflictError, KindMissingError
from flywheel.components.cluster.resources import HTTP_ROUTES, INFERENCE_SERVICES, Resource
from flywheel.components.cluster.strictness import refuse_dropped_fields
from flywheel.components.deployment.cluster.refusal import RolloutLostError
from flywheel.components.deployment.cluster.standard import route_name
from flywheel.components.deployment.cluster.state import ANNOTATION, MANAGER, ClusterRollout, read_state
from flywheel.components.deployment.cluster.traffic import Json

_TRIES = 30  # a controller writes the status often, and each time the version moves on


class Served:
    """One InferenceService.

    Args:
        cluster: Where it is.
        name: Its name.
        resource: Its kind.
    """

    def __init__(self, cluster: Cluster, name: str, resource: Resource = INFERENCE_SERVICES):
        self.cluster, self.name, self._resource = cluster, name, resource

    def read(self) -> Json:
        """Read the object.

        Raises:
            ClusterError: It does not exist, the kind is not installed, or the server cannot be asked.
        """
        return self.cluster.get(self._resource, self.name)

    def route(self) -> Json | None:
        """Read the HTTPRoute that splits the traffic; None when there is none."""
        try:
            return self.cluster.find(HTTP_ROUTES, route_name(self.name))
        except KindMissingError:
            return None

    def write(
        self,
        change: Callable[[Json], Json],
        state: ClusterRollout,
        known: ClusterRollout | None,
        seen: Json | None = None,
    ) -> Json:
        """Write the state and the change of traffic that belongs to it, both or neither.

        Args:
            change: Makes the merge patch of the object, from the object as it is now.
            state: State to write.
            known: State that must be there now; None: none, or one that is done.
            seen: The object as last read: tried first, so that it need not be read again.

        Returns:
            The object as written.

        Raises:
            RolloutLostError: Another state is there.
            ConflictError: The object changed in each of 30 tries.
        """
        text = state.annotation()
        for left in range(_TRIES - 1, -1, -1):
            served, seen = seen or self.read(), None
            found = (served["metadata"].get("annotations") or {}).get(ANNOTATION, "")
            if found == text:
                return served  # written by a try whose answer was lost
            self._must_be(served, found, known)
            metadata = {"resourceVersion": served["metadata"]["resourceVersion"], "annotations": {ANNOTATION: text}}
            patch = {**change(served), "metadata": metadata}
            try:
                written = self.cluster.patch(self._resource, self.name, patch, manager=MANAGER)
            except ConflictError:
                if not left:
                    raise
                continue
            refuse_dropped_fields({"spec": patch.get("spec", {})}, written, self._resource)
            return written
        raise AssertionError("the last try raises")

    def rehearse(self, change: Json, state: ClusterRollout) -> None:
        """Let the server check a change without making it.

        Raises:
            RejectedError: Webhook or schema refuse it, or the CRD does not know a field.
        """
        patch = {**change, "metadata": {"annotations": {ANNOTATION: state.annotation()}}}
        for left in range(_TRIES - 1, -1, -1):
            try:
                answer = self.cluster.patch(self._resource, self.name, patch, manager=MANAGER, dry_run=True)
                break
            except ConflictError:
                if not left:
                    raise
        refuse_dropped_fields({"spec": patch.get("spec", {})}, answer, self._resource)

    def _must_be(self, served: Json, found: str, known: ClusterRollout | None) -> None:
        if known is not None and found == known.annotation():
            return
        there = read_state(served)
        if known is None and (there is None or there.phase == "done"):
            return
        whose = f"run {there.rollout.run_id}, {there.phase}" if there else "none"
        raise RolloutLostError(
            f"the rollout on {self.name} is no longer ours: its state is now of {whose}. Nothing more was changed; see "
            f"the annotation {ANNOTATION}"
        )


def writers(served: Json, *path: str) -> str:
    """Name who else manages a field, for people who look for the one that put it back.

    Args:
        served: The object.
        path: Keys of the field.

    Returns:
        Managers but us, separated by commas; "" when nobody else is known.
    """
    names = []
    for entry in served["metadata"].get("managedFields") or []:
        fields = entry.get("fieldsV1") or {}
        for key in path:
            fields = fields.get(f"f:{key}", {})
        if fields and entry.get("manager") != MANAGER:
            names.append(str(entry.get("manager")))
    return ", ".join(sorted(set(names)))
