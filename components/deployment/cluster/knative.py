"""KServe's Knative mode: one predictor, whose newest revision gets `canaryTrafficPercent` of the requests.

The candidate replaces production in the spec from the start; production lives on as the revision that was rolled out
last. So a rollback is `canaryTrafficPercent: 0` (nothing goes to the newest revision any more, at once) together with
production's storageUri; only when a new revision of production is up may the field go, because without it everything
goes to whatever revision is the newest ready one, and until then that is the candidate's.

Source: KServe, pkg/controller/v1beta1/inferenceservice/reconcilers/knative/ksvc_reconciler.go.
"""

from flywheel.components.deployment.cluster.refusal import RolloutRefusedError
from flywheel.components.deployment.cluster.standard import storage_uri
from flywheel.components.deployment.cluster.state import ClusterRollout
from flywheel.components.deployment.cluster.traffic import (
    Candidate,
    Json,
    Observed,
    condition,
    is_true,
    load_failure,
    settled,
)

_MOST = 63
_ENDING = len("-predictor-00000")  # of a revision's name


class KnativeTraffic:
    """`canaryTrafficPercent`; see `traffic.Traffic`."""

    mode = "Knative"

    def check(self, served: Json, candidate: Candidate) -> None:
        """Refuse what would send everything to the candidate at once, or belongs to somebody else."""
        name, predictor = served["metadata"]["name"], served["spec"]["predictor"]
        if served["spec"].get("canary"):
            raise RolloutRefusedError(
                "WRONG_MODE",
                f"{name} is in Knative mode and has spec.canary, which is for Standard mode only; remove it, or move "
                "the service to Standard mode (annotation serving.kserve.io/deploymentMode: Standard)",
            )
        percent = predictor.get("canaryTrafficPercent")
        if percent not in (None, 100):
            raise RolloutRefusedError(
                "FOREIGN_CANARY",
                f"{name} splits its traffic already (canaryTrafficPercent: {percent}) and no rollout of ours started "
                "it; end it first: remove the field to promote, or restore the old storageUri",
            )
        if len(name) + _ENDING > _MOST:
            raise RolloutRefusedError(
                "NAME_TOO_LONG",
                f"{name} has {len(name)} characters; the names of its revisions leave {_MOST - _ENDING} for it",
            )

    def check_split(self, served: Json, route: Json | None) -> None:
        """Refuse a service whose traffic nothing could be pinned to."""
        name = served["metadata"]["name"]
        if not _predictor(served).get("latestRolledoutRevision"):
            raise RolloutRefusedError(
                "NO_PRODUCTION",
                f"{name} has never served all its traffic from one revision (status latestRolledoutRevision is empty): "
                "without one, canaryTrafficPercent is ignored: the candidate gets everything. Wait until it is Ready",
            )

    def unsteady(self, served: Json) -> str:
        """The newest revision must be the one that serves: the next one will be the candidate's."""
        status = _predictor(served)
        created, rolled_out = status.get("latestCreatedRevision"), status.get("latestRolledoutRevision")
        if created == rolled_out:
            return ""
        return f"Its newest revision {created} does not serve, {rolled_out} does."

    def production_uri(self, served: Json) -> str:
        """Return the predictor's storageUri; true only before a rollout starts."""
        return storage_uri(served)

    def start(self, served: Json, candidate: Candidate) -> Json:
        """Make the candidate the newest revision, with nothing going to it."""
        return {"spec": {"predictor": {"canaryTrafficPercent": 0, "model": {"storageUri": candidate.uri}}}}

    def share(self, served: Json, state: ClusterRollout, percent: int) -> Json:
        """Set canaryTrafficPercent (and the storageUri, which a GitOps tool may have put back)."""
        model = {"storageUri": state.candidate_uri}
        return {"spec": {"predictor": {"canaryTrafficPercent": percent, "model": model}}}

    def promote(self, served: Json, state: ClusterRollout) -> Json:
        """Clear the field: everything goes to the newest revision, which is the candidate's and keeps running."""
        return {"spec": {"predictor": {"canaryTrafficPercent": None, "model": {"storageUri": state.candidate_uri}}}}

    def roll_back(self, served: Json, state: ClusterRollout) -> Json:
        """Send nothing to the newest revision, and let a new one of production come up."""
        return {"spec": {"predictor": {"canaryTrafficPercent": 0, "model": {"storageUri": state.production_uri}}}}

    def tidy(self, served: Json, state: ClusterRollout) -> Json | None:
        """Clear canaryTrafficPercent, which pins production's old revision."""
        if served["spec"]["predictor"].get("canaryTrafficPercent") is None:
            return None
        return {"spec": {"predictor": {"canaryTrafficPercent": None}}}

    def restored(self, served: Json, state: ClusterRollout) -> bool:
        """Whether a revision of production is the newest and ready."""
        return _restored(served, state)

    def wanted(self, served: Json, state: ClusterRollout) -> int | None:
        """Read canaryTrafficPercent, if the newest revision is (still) the candidate's."""
        percent = served["spec"]["predictor"].get("canaryTrafficPercent")
        if percent is None or storage_uri(served) != state.candidate_uri:
            return None
        newest = _predictor(served).get("latestCreatedRevision")
        if state.candidate_revision and newest != state.candidate_revision:
            return None  # a change of anything else in the predictor made another revision
        return int(percent)

    def observe(self, served: Json, route: Json | None, state: ClusterRollout) -> Observed:
        """Read revisions and their traffic."""
        status = _predictor(served)
        created, ready = status.get("latestCreatedRevision", ""), status.get("latestReadyRevision", "")
        own = _own(served, state)
        targets = status.get("traffic") or []
        percent = sum(int(one.get("percent") or 0) for one in targets if one.get("revisionName") == own)
        waiting = condition(served, "PredictorConfigurationReady")
        # While traffic is pinned by revision, production serves from it whatever becomes of the newest.
        pinned = any(one.get("revisionName") == state.production_revision and one.get("percent") for one in targets)
        return Observed(
            settled=settled(served),
            production=pinned or is_true(served, "Ready"),
            candidate=bool(own) and ready == own,
            percent=percent if targets else None,
            failed=load_failure(served.get("status", {}).get("modelStatus")) if created == own else "",
            words=": ".join(str(waiting[key]) for key in ("reason", "message") if waiting.get(key)),
        )

    def remember(self, served: Json, state: ClusterRollout) -> Json:
        """Keep the candidate's revision, whose name the controller gave."""
        return {"candidate_revision": _own(served, state)}


def rolled_out_revision(served: Json) -> str:
    """Return the revision that serves all traffic, as the status says."""
    return str(_predictor(served).get("latestRolledoutRevision", ""))


def _restored(served: Json, state: ClusterRollout) -> bool:
    """Whether the newest revision is ready and not the candidate's, so that the pinning may go."""
    status = _predictor(served)
    created, ready = status.get("latestCreatedRevision"), status.get("latestReadyRevision")
    return bool(created) and created == ready and created != _own(served, state)


def _own(served: Json, state: ClusterRollout) -> str:
    """Return the candidate's revision; "" when there is none yet.

    A step that was killed at once has not noted it. Knative counts a service's revisions (`name-00007`), and the
    rollout began with production's as the newest, so the candidate's is the next one; a name that does not count may
    be it.
    """
    created = str(_predictor(served).get("latestCreatedRevision", ""))
    if state.candidate_revision or created in ("", state.production_revision):
        return state.candidate_revision
    number, before = _number(created), _number(state.production_revision)
    return created if None in (number, before) or number == before + 1 else ""  # type: ignore[operator]


def _number(revision: str) -> int | None:
    ending = revision.rpartition("-")[2]
    return int(ending) if ending.isdigit() else None


def _predictor(served: Json) -> Json:
    found: Json = served.get("status", {}).get("components", {}).get("predictor") or {}
    return found
