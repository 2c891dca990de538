"""KServe's controller, played: reconciles InferenceServices of a namespace as KServe 0.21 does, without any pod.

Standard mode: Deployments by predictor name, HTTPRoute weights (the candidate's only when it is ready), canaryStatuses.
Knative mode: revisions by template, traffic targets as `ksvc_reconciler.go` makes them, status as `PropagateStatus`.
Every version of every service is recorded by a watch, so that a test can look at all traffic there ever was.
"""

import contextlib
import json
import queue
import threading
import time
from dataclasses import dataclass, field

from flywheel.components.cluster.errors import NotFoundError
from flywheel.components.cluster.resources import HTTP_ROUTES, INFERENCE_SERVICES
from flywheel.components.cluster.watch import watch

STATE = "flywheel.feedback-flywheel.dev/rollout"


@dataclass
class Pods:
    uri: str
    template: str = ""
    born: float = field(default_factory=time.monotonic)


@dataclass
class Ksvc:
    revisions: list[tuple[str, Pods]] = field(default_factory=list)
    status: dict = field(default_factory=dict)


class FakeKServe:
    def __init__(self, cluster, namespace, start_s=0.0, lag_s=0.0):
        self.cluster, self.namespace = cluster, namespace
        self.start_s, self.lag_s = start_s, lag_s
        self.broken: set[str] = set()  # storage URIs that will not load
        self.silent: set[str] = set()  # services that nobody reconciles
        self.pods: dict[str, dict[str, Pods]] = {}  # service -> deployment -> pods
        self.ksvcs: dict[str, Ksvc] = {}
        self.history: dict[str, list[dict]] = {}  # service -> objects, all versions
        self.started: dict[str, list[str]] = {}  # service -> storage URIs of the pods that were started, in order
        self.errors: list[str] = []
        self._first_seen: dict[tuple[str, int], float] = {}
        self._queue: queue.Queue[str] = queue.Queue()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._reconcile_all, self._record)]
        for thread in self._threads:
            thread.start()

    def close(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _record(self):
        for seen in watch(self.cluster, INFERENCE_SERVICES, self.namespace, look_every=1.0):
            if self._stop.is_set():
                return
            if seen is None:
                continue
            name = seen.object["metadata"]["name"]
            if seen.kind == "present":
                self.history.setdefault(name, []).append(seen.object)
                self._queue.put(name)

    def _reconcile_all(self):
        while not self._stop.is_set():
            try:
                names = {self._queue.get(timeout=0.2)}
            except queue.Empty:
                continue
            while not self._queue.empty():
                names.add(self._queue.get())
            for name in names - self.silent:
                try:
                    if not self._reconcile(self.history[name][-1]):
                        self._later(name)
                except Exception as error:  # a conflict, deleted, or the server's end: the next round tries again
                    self.errors.append(f"{type(error).__name__}: {error}")
                    self._later(name)

    def _later(self, name):
        threading.Timer(0.02, self._queue.put, (name,)).start()

    def wake(self, name):
        """Reconcile a service that was silent."""
        self.silent.discard(name)
        self._queue.put(name)

    def _reconcile(self, served):
        meta = served["metadata"]
        key = (meta["uid"], meta["generation"])
        first = self._first_seen.setdefault(key, time.monotonic())
        if time.monotonic() - first < self.lag_s:
            return False
        mode = meta.get("annotations", {}).get("serving.kserve.io/deploymentMode", "Knative")
        status = self._standard(served) if mode == "Standard" else self._knative(served)
        status |= {"observedGeneration": meta["generation"], "deploymentMode": mode}
        if status != served.get("status"):
            body = {"status": {**{old: None for old in served.get("status", {}) if old not in status}, **status}}
            self.cluster.patch(INFERENCE_SERVICES, meta["name"], body, self.namespace, subresource="status")
        return all(one["status"] == "True" for one in status["conditions"])

    def _ready(self, pods: Pods) -> bool:
        return pods.uri not in self.broken and time.monotonic() - pods.born >= self.start_s

    def _standard(self, served):
        name, spec = served["metadata"]["name"], served["spec"]
        stable = _backend(name, spec["predictor"].get("name", ""))
        wanted = {stable: spec["predictor"]["model"]["storageUri"]}
        canaries = spec.get("canary") or []
        for one in canaries:
            wanted[_backend(name, one["predictor"]["name"])] = one["predictor"]["model"]["storageUri"]
        running = self.pods.setdefault(name, {})
        for gone in set(running) - set(wanted):
            del running[gone]
        for deployment, uri in wanted.items():
            if deployment not in running or running[deployment].uri != uri:
                running[deployment] = Pods(uri)
                self.started.setdefault(name, []).append(uri)
        weights, statuses = {stable: 100}, []
        for one in canaries:
            deployment = _backend(name, one["predictor"]["name"])
            ready, percent = self._ready(running[deployment]), one["trafficPercent"]
            statuses.append(
                {"name": one["predictor"]["name"], "ready": ready, "trafficPercent": percent}
                | self._load(wanted[deployment])
            )
            weights[deployment] = percent if ready else 0
            weights[stable] -= weights[deployment]
        self._route(name, weights)
        ready = self._ready(running[stable])
        conditions = [_condition("PredictorReady", ready), _condition("Ready", ready)]
        if canaries:
            done = all(one["ready"] for one in statuses)
            conditions.append(
                _condition("CanaryPredictorReady", done, "AllCanariesReady" if done else "CanariesNotReady")
            )
        return {"conditions": conditions} | ({"canaryStatuses": statuses} if statuses else {})

    def _load(self, uri):
        if uri not in self.broken:
            return {}
        return {
            "modelStatus": {
                "transitionStatus": "BlockedByFailedLoad",
                "states": {"activeModelState": "", "targetModelState": "FailedToLoad"},
                "lastFailureInfo": {"reason": "ModelLoadFailed", "message": f"cannot load {uri}"},
            }
        }

    def _route(self, name, weights):
        refs = [{"name": one, "port": 80, "weight": weight} for one, weight in sorted(weights.items())]
        spec = {"hostnames": [f"{name}.example"], "rules": [{"backendRefs": refs}]}
        route = f"{name}-predictor"
        try:
            there = self.cluster.get(HTTP_ROUTES, route, self.namespace)
            told = [
                {key: ref[key] for key in ("name", "port", "weight")}
                for ref in there["spec"]["rules"][0]["backendRefs"]
            ]
            if told != refs:
                self.cluster.patch(HTTP_ROUTES, route, {"spec": spec}, self.namespace)
        except NotFoundError:
            body = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": route}}
            self.cluster.create(HTTP_ROUTES, body | {"spec": spec}, self.namespace)

    def _knative(self, served):
        name, predictor = served["metadata"]["name"], served["spec"]["predictor"]
        ksvc = self.ksvcs.setdefault(name, Ksvc())
        template = json.dumps(
            {key: value for key, value in predictor.items() if key != "canaryTrafficPercent"}, sort_keys=True
        )
        status = ksvc.status
        if not ksvc.revisions or ksvc.revisions[-1][1].template != template:
            pods = Pods(predictor["model"]["storageUri"])
            pods.template = template
            ksvc.revisions.append((f"{name}-predictor-{len(ksvc.revisions) + 1:05d}", pods))
        created = ksvc.revisions[-1][0]
        ready = [revision for revision, pods in ksvc.revisions if self._ready(pods)]
        latest = ready[-1] if ready else ""
        percent, before = predictor.get("canaryTrafficPercent"), status.get("latestRolledoutRevision", "")
        if percent is not None and before:
            targets = [{"revisionName": latest, "latestRevision": True, "percent": percent}]
            if percent < 100:
                targets.append(
                    {"revisionName": before, "latestRevision": False, "percent": 100 - percent, "tag": "prev"}
                )
        else:
            targets = [{"revisionName": latest, "latestRevision": True, "percent": 100}]
        if latest and before != latest and targets[0]["percent"] == 100:
            status["previousRolledoutRevision"], status["latestRolledoutRevision"] = before, latest
        status |= {
            "latestCreatedRevision": created,
            "latestReadyRevision": latest,
            "traffic": targets if latest else [],
        }
        whole = latest == created
        failed = self._load(ksvc.revisions[-1][1].uri)
        conditions = [_condition("PredictorConfigurationReady", whole), _condition("Ready", whole)]
        return {"conditions": conditions, "components": {"predictor": dict(status)}} | failed


def _backend(service, predictor):
    return f"{service}-{predictor}-predictor" if predictor else f"{service}-predictor"


def _condition(kind, true, reason=""):
    return {"type": kind, "status": "True" if true else "False"} | ({"reason": reason} if reason else {})


def service(name, mode="Standard", uri="s3://models/production", **predictor):
    """An InferenceService as a platform team writes it."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "annotations": {"serving.kserve.io/deploymentMode": mode} if mode else {}},
        "spec": {
            "predictor": {
                "minReplicas": 4,
                "model": {"modelFormat": {"name": "huggingface"}, "storageUri": uri},
                **predictor,
            }
        },
    }


@contextlib.contextmanager
def running(cluster, namespace, **settings):
    fake = FakeKServe(cluster, namespace, **settings)
    try:
        yield fake
    finally:
        fake.close()
