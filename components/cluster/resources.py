"""The kinds of objects we use, and where the API server keeps them."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Resource:
    """A namespaced kind in one version."""

    group: str  # "" for the core group
    version: str
    plural: str
    kind: str
    install: str = ""  # what to do when the cluster does not have it

    @property
    def api_version(self) -> str:
        """`apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """URL path of the collection, an object or a part of one."""
        root = f"/apis/{self.group}" if self.group else "/api"
        parts = [f"{root}/{self.version}", *(["namespaces", quote(namespace)] if namespace else []), self.plural]
        return "/".join([*parts, *(quote(part) for part in (name, subresource) if part)])


_TRAINER = "install Kubeflow Trainer 2.2 or newer (`spec.runtimePatches` of TrainJob is needed)"
_KSERVE = "install KServe 0.21 or newer"
TRAIN_JOBS = Resource("trainer.kubeflow.org", "v1alpha1", "trainjobs", "TrainJob", _TRAINER)
TRAINING_RUNTIMES = Resource("trainer.kubeflow.org", "v1alpha1", "trainingruntimes", "TrainingRuntime", _TRAINER)
INFERENCE_SERVICES = Resource("serving.kserve.io", "v1beta1", "inferenceservices", "InferenceService", _KSERVE)
LLM_INFERENCE_SERVICES = Resource(
    "serving.kserve.io", "v1alpha2", "llminferenceservices", "LLMInferenceService", _KSERVE
)
HTTP_ROUTES = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute", "install the Gateway API CRDs")
LOCAL_QUEUES = Resource("kueue.x-k8s.io", "v1beta1", "localqueues", "LocalQueue", "install Kueue")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
PODS = Resource("", "v1", "pods", "Pod")
EVENTS = Resource("", "v1", "events", "Event")
ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview")
