"""Every place renders, no file is forgotten, and what is rendered fits the schemas of the kinds it uses."""

from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

MANIFESTS = Path(__file__).parents[2] / "manifests"
PLACES = ["base", "overlays/dev", "overlays/staging", "overlays/prod", "argocd", "flux"]
KUBERNETES = "1.31"
CORE = {"v1", "apps/v1", "policy/v1", "autoscaling/v2", "networking.k8s.io/v1", "rbac.authorization.k8s.io/v1"}
# Kinds without a CRD among the shared ones.
UNCHECKED = {"RayCluster", "AppProject", "Application", "GitRepository", "Kustomization"}


def is_core(one):
    return one["apiVersion"] in CORE


@pytest.mark.parametrize("place", PLACES)
def test_core_kinds_fit_the_schema_of_kubernetes(render, place):
    core = [one for one in render(place) if is_core(one)]
    for one in core:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    assert core or place == "flux"


@pytest.mark.parametrize("place", PLACES)
def test_custom_resources_fit_their_crds_with_no_unknown_field(render, crd_schemas, place):
    for one in render(place):
        if is_core(one) or one["kind"] in UNCHECKED:
            continue
        jsonschema.validate(one, crd_schemas[one["apiVersion"], one["kind"]])


def test_the_checks_see_what_is_wrong(render, crd_schemas):
    (deployment, *_) = [one for one in render("base") if one["kind"] == "Deployment"]
    wrong = yaml.safe_load(yaml.safe_dump(deployment))
    wrong["spec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)
    (runtime,) = [one for one in render("base") if one["kind"] == "TrainingRuntime"]
    wrong = yaml.safe_load(yaml.safe_dump(runtime))
    wrong["spec"]["mlPolicy"]["nodes"] = 2
    with pytest.raises(jsonschema.ValidationError, match="nodes"):
        jsonschema.validate(wrong, crd_schemas[runtime["apiVersion"], "TrainingRuntime"])


def test_no_file_is_forgotten():
    """Every YAML file is a kustomization or is named by one."""
    named = set()
    for path in MANIFESTS.rglob("kustomization.yaml"):
        content = yaml.safe_load(path.read_text())
        for entry in content.get("resources") or []:
            named.add((path.parent / entry).resolve())
        for generator in content.get("configMapGenerator", []):
            named |= {(path.parent / entry.split("=")[-1]).resolve() for entry in generator["files"]}
    files = {path.resolve() for path in MANIFESTS.rglob("*") if path.is_file() and path.name != "kustomization.yaml"}
    files -= {path for path in files if path.suffix == ".md" or path.parent.name == "images"}
    assert files - named == set()
    assert len(files) > 25


def test_components_of_the_overlays_take_effect(render):
    (runtime,) = [one for one in render("overlays/prod") if one["kind"] == "TrainingRuntime"]
    pod = runtime["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"flywheel/pool": "gpu"}
    assert {one["kind"] for one in render("overlays/staging")} >= {
        "ClusterQueue",
        "LocalQueue",
        "RayCluster",
        "HTTPRoute",
    }
    accounts = {one["metadata"]["name"] for one in render("overlays/dev") if one["kind"] == "ServiceAccount"}
    assert accounts == {"flywheel-steps", "flywheel-launcher", "flywheel-deployer", "flywheel-turn"}


def test_every_component_is_used_or_renders_alone(render):
    """Istio's and the gateway's routes exclude each other, so no overlay holds both."""
    used = set()
    for path in MANIFESTS.glob("overlays/*/kustomization.yaml"):
        used |= {Path(entry).name for entry in yaml.safe_load(path.read_text())["components"]}
    assert {path.name for path in (MANIFESTS / "components").iterdir()} - used == {"istio"}
    kinds = [one["kind"] for one in yaml.safe_load_all((MANIFESTS / "components/istio/mesh.yaml").read_text())]
    assert kinds == ["PeerAuthentication", "VirtualService", "NetworkPolicy"]
