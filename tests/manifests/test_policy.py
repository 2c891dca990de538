"""Policy on what is deployed: pinned images, restricted pods, limits, least privilege, no secrets in Git."""

import re
from pathlib import Path

import pytest
import yaml

from flywheel.components import images

MANIFESTS = Path(__file__).parents[2] / "manifests"
PLACES = ["base", "overlays/dev", "overlays/staging", "overlays/prod"]
PINNED = re.compile(r"@sha256:[0-9a-f]{64}$")
EXACT = re.compile(r":v?\d+\.\d+\.\d+$")


@pytest.mark.parametrize("place", PLACES)
def test_images_are_pinned(render, pods, place):
    checked = 0
    for title, pod in pods(render(place)):
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            image = container["image"]
            ours = image.startswith("ghcr.io/feedback-flywheel/")
            if PINNED.search(image):
                continue
            assert EXACT.search(image), f"{title}: {image} has no digest and no exact version"
            assert not ours or image.endswith(f":{images.VERSION}"), f"{title}: {image} is not version {images.VERSION}"
            checked += 1
    assert checked


@pytest.mark.parametrize("place", PLACES)
def test_pods_run_restricted(render, pods, place):
    """The Pod Security Standard `restricted`, and more: read-only root file system, no API token unless it is needed."""
    found = pods(render(place))
    assert len(found) >= 3
    (predictor,) = [one["spec"]["predictor"] for one in render(place) if one["kind"] == "InferenceService"]
    for title, template in found:
        # The CRD of ServingRuntime has no pod security: the InferenceService that uses it has.
        pod = predictor | template if title.startswith("ServingRuntime/") else template
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, title
        assert security["seccompProfile"]["type"] == "RuntimeDefault", title
        assert pod.get("automountServiceAccountToken") is False, title
        assert not any(pod.get(word) for word in ("hostNetwork", "hostPID", "hostIPC")), title
        assert not any("hostPath" in volume for volume in pod.get("volumes", [])), title
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, title
            assert own["readOnlyRootFilesystem"] is True, title
            assert own["capabilities"] == {"drop": ["ALL"]}, title
            assert not any("hostPort" in port for port in container.get("ports", [])), title


@pytest.mark.parametrize("place", PLACES)
def test_servers_have_limits_and_probes(render, pods, place):
    for title, pod in pods([one for one in render(place) if one["kind"] == "Deployment"]):
        for container in pod["containers"]:
            assert container["resources"]["limits"].keys() >= {"cpu", "memory"}, title
            assert container.keys() >= {"livenessProbe", "readinessProbe"}, title


@pytest.mark.parametrize("place", [*PLACES, "argocd", "flux"])
def test_no_wildcard_no_secret_and_no_cluster_role(render, place):
    for one in render(place):
        title = f"{one['kind']}/{one['metadata']['name']}"
        assert one["kind"] != "Secret", title
        assert one["kind"] != "ClusterRoleBinding" or place == "flux", (
            f"{title}: only Flux's own account is cluster-wide"
        )
        for rule in one.get("rules", []) if one["kind"] in ("Role", "ClusterRole") else []:
            words = rule["verbs"] + rule["resources"] + rule["apiGroups"]
            assert "*" not in words, title
            assert not {"secrets", "pods/exec", "pods/attach"} & set(rule["resources"]), title


def test_namespace_enforces_what_the_pods_promise(render):
    (namespace,) = [one for one in render("overlays/prod") if one["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("place", PLACES)
def test_network_is_closed_by_default_and_every_server_is_let_through(render, place):
    policies = {one["metadata"]["name"]: one["spec"] for one in render(place) if one["kind"] == "NetworkPolicy"}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    opened = [
        policy["podSelector"]["matchLabels"].get("app.kubernetes.io/name")
        for policy in policies.values()
        if policy["podSelector"].get("matchLabels") and policy.get("ingress")
    ]
    for one in render(place):
        if one["kind"] == "Deployment":
            assert one["metadata"]["name"] in opened, f"nothing can reach {one['metadata']['name']}"


@pytest.mark.parametrize("place", PLACES)
def test_data_outlives_a_sync_and_selectors_select(render, place):
    objects = render(place)
    for one in objects:
        if one["kind"] == "PersistentVolumeClaim":
            assert "Prune=false" in one["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]
    templates = [one["spec"]["template"]["metadata"]["labels"] for one in objects if one["kind"] == "Deployment"]
    for one in objects:
        if one["kind"] == "Service":
            selector = one["spec"]["selector"].items()
            assert any(selector <= labels.items() for labels in templates), one["metadata"]["name"]


def test_secrets_are_named_and_never_held():
    """Secrets that pods refer to exist outside Git; the list is what a site has to provide."""
    wanted = set()
    for path in MANIFESTS.rglob("*.yaml"):
        wanted |= set(re.findall(r"secret(?:KeyRef: \{name|Name): ([\w-]+)", path.read_text()))
    told = (MANIFESTS / "README.md").read_text()
    assert all(f"| `{name}`" in told for name in wanted)
    assert wanted == {"flywheel-pseudonym-key", "flywheel-intake-keys", "flywheel-oidc", "flywheel-endpoint-keys"}


def test_alerts_say_what_to_do_and_measure_what_the_service_exports(render):
    (rules,) = [one for one in render("base") if one["kind"] == "PrometheusRule"]
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(alerts) >= 5
    for alert in alerts:
        assert alert["annotations"].keys() == {"summary", "runbook"}, alert["alert"]
        assert alert["labels"]["severity"] in ("warning", "critical")
    board = yaml.safe_load((MANIFESTS / "base/monitoring/flywheel-board.json").read_text())
    texts = [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]]
    texts += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    ours = {name for text in texts for name in re.findall(r"flywheel_intake_\w+", text)}
    assert len(ours) >= 5
