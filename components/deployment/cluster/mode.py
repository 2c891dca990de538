"""Which way of splitting traffic a service uses, told from its annotation and status, never guessed."""

from flywheel.components.cluster.names import check_name
from flywheel.components.deployment.cluster.knative import KnativeTraffic
from flywheel.components.deployment.cluster.refusal import RolloutRefusedError
from flywheel.components.deployment.cluster.standard import StandardTraffic
from flywheel.components.deployment.cluster.traffic import Candidate, Json, Traffic

MODE = "serving.kserve.io/deploymentMode"
STOP = "serving.kserve.io/stop"
_KNATIVE = ("Knative", "Serverless")  # since 0.16, and before
_SCHEMES = ("s3", "gs", "hf", "oci", "oci+native", "oci+fetch", "pvc", "hdfs", "webhdfs", "modelscope", "http", "https")


def mode_of(served: Json) -> Traffic:
    """Choose how to split a service's traffic.

    Args:
        served: The InferenceService.

    Raises:
        RolloutRefusedError: The mode is unknown, contradictory, or one that cannot split; says what to do.
    """
    name, annotations = served["metadata"]["name"], served["metadata"].get("annotations") or {}
    asked, running = annotations.get(MODE, ""), served.get("status", {}).get("deploymentMode", "")
    if annotations.get(STOP) == "true":
        raise RolloutRefusedError("STOPPED", f"{name} is stopped (annotation {STOP}); start it before a rollout")
    if "ModelMesh" in (asked, running):
        raise RolloutRefusedError("WRONG_MODE", f"{name} is in ModelMesh mode, which cannot split traffic")
    if asked == "RawDeployment" or (not asked and running in ("Standard", "RawDeployment")):
        seen = f"annotation {MODE}: {asked}" if asked else f"status.deploymentMode: {running}, without the annotation"
        raise RolloutRefusedError(
            "WRONG_MODE",
            f"{name} has {seen}; KServe takes spec.canary only with the annotation {MODE}: Standard, literally. Set it "
            "(the two names mean the same mode: nothing restarts)",
        )
    if asked == "Standard":
        if running in _KNATIVE:
            raise _contradiction(name, asked, running)
        return StandardTraffic()
    if asked in _KNATIVE or (not asked and running in _KNATIVE):
        if running in ("Standard", "RawDeployment"):
            raise _contradiction(name, asked, running)
        return KnativeTraffic()
    raise RolloutRefusedError(
        "WRONG_MODE",
        f"cannot tell how {name} is deployed: annotation {MODE} is {asked or 'not set'} and status.deploymentMode is "
        f"{running or 'empty'}; set the annotation to Standard or Knative",
    )


def mode_named(name: str) -> Traffic:
    """Return the way of splitting that a state names.

    Raises:
        ValueError: There is no such mode.
    """
    modes: dict[str, Traffic] = {one.mode: one for one in (StandardTraffic(), KnativeTraffic())}
    if name not in modes:
        raise ValueError(f"unknown mode {name!r} in the rollout's state; known: {', '.join(modes)}")
    return modes[name]


def candidate_of(service: str, uri: str, digest: str) -> Candidate:
    """Name a candidate: from its digest, so that a retry finds it and no two models share a name.

    Args:
        service: Name of the InferenceService.
        uri: Where KServe loads the model from.
        digest: SHA-256 of the model, hex.

    Raises:
        ValueError: The service's name is none, the uri cannot be read by a pod, or the digest is none.
    """
    check_name(service, "service")
    scheme, separator, _ = uri.partition("://")
    if not separator or (scheme not in _SCHEMES and not scheme.startswith(("abfs", "azureblob"))):
        raise ValueError(
            f"KServe cannot load the candidate from {uri or 'nowhere'}: its pods see no folder of another machine. "
            f"Register the model from one of {', '.join(f'{one}://' for one in _SCHEMES[:6])}... (pvc://CLAIM/PATH "
            "for a shared volume)"
        )
    short = digest.removeprefix("sha256:")[:8]
    if len(short) < 8 or not all(letter in "0123456789abcdef" for letter in short):
        raise ValueError(f"the candidate's digest {digest!r} is no SHA-256 in hex; register the model first")
    return Candidate(name=f"c-{short}", uri=uri)


def _contradiction(name: str, asked: str, running: str) -> RolloutRefusedError:
    return RolloutRefusedError(
        "WRONG_MODE",
        f"{name} asks for {asked} (annotation {MODE}) but runs as {running} (status.deploymentMode): KServe does not "
        "change the mode of a service; put the annotation back, or delete and create the service",
    )
