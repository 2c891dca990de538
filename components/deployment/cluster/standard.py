"""KServe's Standard mode: the candidate is an entry of `spec.canary[]`, the Gateway API's HTTPRoute splits.

Sources: KServe 0.21, `validateCanarySpecs` of its webhook (literal annotation, unique names, no autoscaling on a
canary, minReplicas at most the stable one's) and test/e2e/predictor/test_canary_raw_deployment.py (promotion takes over
the canary's name, and with it its running Deployment).
"""

import math

from flywheel.components.deployment.cluster.refusal import RolloutRefusedError
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

_MOST = 63  # of a Service's name


class StandardTraffic:
    """`spec.canary[]`; see `traffic.Traffic`."""

    mode = "Standard"

    def check(self, served: Json, candidate: Candidate) -> None:
        """Refuse what the webhook would refuse, and what it lets pass but nobody can mean."""
        name, predictor = served["metadata"]["name"], served["spec"]["predictor"]
        if predictor.get("canaryTrafficPercent") is not None:
            raise RolloutRefusedError(
                "WRONG_MODE",
                f"{name} is in Standard mode and sets spec.predictor.canaryTrafficPercent, which that mode ignores: "
                "the new model would get all traffic at once. Remove the field, or move the service to Knative mode",
            )
        if served["spec"].get("canary"):
            others = ", ".join(str(one["predictor"].get("name")) for one in served["spec"]["canary"])
            raise RolloutRefusedError(
                "FOREIGN_CANARY",
                f"{name} has a canary already ({others}) that no rollout of ours started; end it first "
                "(remove spec.canary), or let its owner promote it",
            )
        if "model" not in predictor:
            raise RolloutRefusedError(
                "NO_MODEL", f"{name}: a canary needs a predictor with `model`; custom containers have none"
            )
        if "workerSpec" in predictor:
            raise RolloutRefusedError(
                "MULTI_NODE", f"{name}: KServe has no canary for multi-node predictors (workerSpec)"
            )
        longest = backend(name, candidate.name)
        if len(longest) > _MOST:
            raise RolloutRefusedError(
                "NAME_TOO_LONG",
                f"{name}: the candidate's Service would be {longest} with {len(longest)} characters, Kubernetes takes "
                f"{_MOST}; the service's name may have {_MOST - len(longest) + len(name)}",
            )

    def check_split(self, served: Json, route: Json | None) -> None:
        """Refuse a service without the HTTPRoute that would split."""
        name = served["metadata"]["name"]
        if route is None:
            raise RolloutRefusedError(
                "NO_SPLIT",
                f"there is no HTTPRoute {route_name(name)}: without the Gateway API a canary gets pods but no traffic. "
                "Set enableGatewayApi: true in KServe's ingress configuration (ConfigMap inferenceservice-config)",
            )

    def unsteady(self, served: Json) -> str:
        """Nothing but Ready is asked."""
        return ""

    def production_uri(self, served: Json) -> str:
        """Return the stable predictor's storageUri."""
        return storage_uri(served)

    def start(self, served: Json, candidate: Candidate) -> Json:
        """Add the candidate at 0 %; without minReplicas, 0 % would also mean no pod."""
        return {"spec": {"canary": [_entry(served, candidate.name, candidate.uri, 0)]}}

    def share(self, served: Json, state: ClusterRollout, percent: int) -> Json:
        """Set trafficPercent, and replicas that can carry it."""
        return {"spec": {"canary": [_entry(served, state.candidate, state.candidate_uri, percent)]}}

    def promote(self, served: Json, state: ClusterRollout) -> Json:
        """Let the stable predictor become the candidate by name: its Deployment is taken over as it runs."""
        predictor = {"name": state.candidate, "model": {"storageUri": state.candidate_uri}}
        return {"spec": {"canary": None, "predictor": predictor}}

    def roll_back(self, served: Json, state: ClusterRollout) -> Json:
        """Remove the candidate."""
        return {"spec": {"canary": None}}

    def tidy(self, served: Json, state: ClusterRollout) -> Json | None:
        """Nothing: without its entry the candidate is gone."""
        return None

    def restored(self, served: Json, state: ClusterRollout) -> bool:
        """Production never moved."""
        return True

    def wanted(self, served: Json, state: ClusterRollout) -> int | None:
        """Read the candidate's trafficPercent."""
        entries = served["spec"].get("canary") or []
        if len(entries) != 1 or storage_uri(served) != state.production_uri:
            return None
        predictor = entries[0]["predictor"]
        own = predictor.get("name") == state.candidate and predictor["model"].get("storageUri") == state.candidate_uri
        return int(entries[0]["trafficPercent"]) if own else None

    def observe(self, served: Json, route: Json | None, state: ClusterRollout) -> Observed:
        """Read canaryStatuses, conditions, and the weights that the gateway really has."""
        statuses = served.get("status", {}).get("canaryStatuses") or []
        own: Json = next((one for one in statuses if one.get("name") == state.candidate), {})
        waiting = condition(served, "CanaryPredictorReady")
        return Observed(
            settled=settled(served),
            production=is_true(served, "PredictorReady") or is_true(served, "Ready"),
            candidate=bool(own.get("ready")),
            percent=percent_in(route, backend(served["metadata"]["name"], state.candidate)),
            failed=load_failure(own.get("modelStatus")),
            words=": ".join(str(waiting[key]) for key in ("reason", "message") if waiting.get(key)),
        )

    def remember(self, served: Json, state: ClusterRollout) -> Json:
        """Nothing: we gave the names."""
        return {}


def storage_uri(served: Json) -> str:
    """Return the stable predictor's storageUri.

    Raises:
        RolloutRefusedError: The model's place is given in another way.
    """
    model = served["spec"]["predictor"].get("model") or {}
    if not model.get("storageUri"):
        raise RolloutRefusedError(
            "NO_STORAGE_URI",
            f"{served['metadata']['name']}: set spec.predictor.model.storageUri; a rollout swaps this field "
            "(storage, storageUris and custom containers cannot be compared with the registry)",
        )
    return str(model["storageUri"])


def route_name(service: str) -> str:
    """Return the name of the HTTPRoute that splits a service's traffic."""
    return f"{service}-predictor"


def backend(service: str, predictor: str) -> str:
    """Return the Kubernetes Service of a predictor; "" for one without a name."""
    return f"{service}-{predictor}-predictor" if predictor else f"{service}-predictor"


def percent_in(route: Json | None, candidate: str) -> int | None:
    """Read the candidate's share from an HTTPRoute.

    Args:
        route: The HTTPRoute; None: there is none.
        candidate: Name of the candidate's Service.

    Returns:
        Whole percent; None when there is no route, its rules do not agree, or the gateway has not taken up its newest
        generation (a gateway that writes no status is believed).
    """
    if route is not None and not _taken_up(route):
        return None
    shares = set()
    for rule in (route or {}).get("spec", {}).get("rules") or []:
        weights = {one["name"]: int(one.get("weight", 1)) for one in rule.get("backendRefs") or []}
        total = sum(weights.values())
        if total:
            shares.add(round(100 * weights.get(candidate, 0) / total))
    return shares.pop() if len(shares) == 1 else None


def _taken_up(route: Json) -> bool:
    generation = int(route.get("metadata", {}).get("generation", 0))
    accepted = [
        one
        for parent in route.get("status", {}).get("parents") or []
        for one in parent.get("conditions") or []
        if one.get("type") == "Accepted"
    ]
    return all(one.get("status") == "True" and int(one.get("observedGeneration", 0)) >= generation for one in accepted)


def _entry(served: Json, name: str, uri: str, percent: int) -> Json:
    """Build the candidate's entry with the SDK: its models know every field, and write the empty `model.name`.

    The CRD requires `model.name` here and the webhook forbids a non-empty one; the rest of the predictor comes from the
    stable one, which KServe merges in.
    """
    from kserve import V1beta1CanarySpec, V1beta1ModelFormat, V1beta1ModelSpec, V1beta1PredictorSpec
    from kubernetes.client import ApiClient

    stable = served["spec"]["predictor"]
    form = stable["model"]["modelFormat"]
    replicas = int(stable.get("minReplicas") or 1)
    entry = V1beta1CanarySpec(
        traffic_percent=percent,
        predictor=V1beta1PredictorSpec(
            name=name,
            min_replicas=min(replicas, max(1, math.ceil(replicas * percent / 100))),
            model=V1beta1ModelSpec(
                model_format=V1beta1ModelFormat(name=form["name"], version=form.get("version")), storage_uri=uri
            ),
        ),
    )
    plain: Json = ApiClient().sanitize_for_serialization(entry)
    return plain
