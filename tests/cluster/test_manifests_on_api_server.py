"""The rendered manifests on a real API server: applied by the account that GitOps uses, wave by wave, and what each
account of the namespace may and may not do there, verb by verb."""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

MANIFESTS = Path(__file__).parents[2] / "manifests"
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
# Older than these kinds, or without their CRDs: the server of the tests is 1.20 (tests/manifests checks their schemas).
ABSENT = {"HorizontalPodAutoscaler", "PodDisruptionBudget", "RayCluster"}
RESOURCES = [
    ("trainer.kubeflow.org", "trainjobs"),
    ("trainer.kubeflow.org", "trainjobs/status"),
    ("trainer.kubeflow.org", "trainingruntimes"),
    ("serving.kserve.io", "inferenceservices"),
    ("serving.kserve.io", "inferenceservices/status"),
    ("serving.kserve.io", "servingruntimes"),
    ("serving.kserve.io", "llminferenceservices"),
    ("gateway.networking.k8s.io", "httproutes"),
    ("coordination.k8s.io", "leases"),
    ("pipelines.kubeflow.org", "pipelineversions"),
    ("kueue.x-k8s.io", "localqueues"),
    ("apps", "deployments"),
    ("batch", "jobs"),
    ("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("", "secrets"),
    ("", "configmaps"),
    ("", "pods"),
    ("", "pods/log"),
    ("", "pods/exec"),
    ("", "events"),
    ("", "services"),
    ("", "serviceaccounts"),
    ("", "serviceaccounts/token"),
    ("", "persistentvolumeclaims"),
]


@cache
def rendered(place):
    """What a folder renders to; nobody changes the objects."""
    kubectl = os.environ.get("KUBECTL") or shutil.which("kubectl")
    if not kubectl:
        pytest.skip("no kubectl: install 1.27 or newer, or set KUBECTL to one (.ci/kubectl brings one)")
    done = subprocess.run(
        [kubectl, "kustomize", str(MANIFESTS / place)], capture_output=True, text=True, check=True, timeout=60
    )
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def wave(one):
    return int(one["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0"))


@cache
def dynamic(client):
    """Discovery takes seconds; once for each client is enough."""
    from kubernetes.dynamic import DynamicClient

    return DynamicClient(client)


def apply(client, one, manager="flux"):
    """Server-side apply; returns the object as stored."""
    resource = dynamic(client).resources.get(api_version=one["apiVersion"], kind=one["kind"])
    namespace = one["metadata"].get("namespace") if resource.namespaced else None
    return resource.server_side_apply(
        body=one, name=one["metadata"]["name"], namespace=namespace, field_manager=manager, force_conflicts=True
    )


@pytest.fixture(scope="module")
def applied(api_server, connect):
    """Everything of overlays/prod, applied as Flux's account after the account's own manifests were applied by an admin."""
    admin = connect("test-admin")
    core = [one for one in rendered("flux") if one["kind"] in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding")]
    for one in [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}}, *core]:
        apply(admin, one)
    gitops = connect("flywheel-gitops")
    objects = [one for one in rendered("overlays/prod") if one["kind"] not in ABSENT]
    for one in sorted(objects, key=wave):
        apply(gitops, one)
    return objects


@pytest.mark.slow
def test_everything_is_applied_by_the_gitops_account(applied):
    kinds = {one["kind"] for one in applied}
    assert kinds >= {"TrainingRuntime", "ClusterQueue", "PrometheusRule", "HTTPRoute", "Role", "NetworkPolicy"}
    assert len(applied) >= 30


@pytest.mark.slow
def test_applying_again_changes_nothing(applied, connect):
    gitops = connect("flywheel-gitops")
    for one in applied[:12]:
        first = apply(gitops, one).metadata.resourceVersion
        assert apply(gitops, one).metadata.resourceVersion == first, one["metadata"]["name"]


def expected(account) -> set[tuple[str, str, str]]:
    """The rights that the Roles in Git give to an account."""
    objects = rendered("base")
    names = {
        one["roleRef"]["name"]
        for one in objects
        if one["kind"] == "RoleBinding" and any(subject["name"] == account for subject in one["subjects"])
    }
    return {
        (group, resource, verb)
        for one in objects
        if one["kind"] == "Role" and one["metadata"]["name"] in names
        for rule in one["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.slow
@pytest.mark.parametrize("account", ["flywheel-steps", "flywheel-launcher", "flywheel-deployer"])
def test_account_has_its_rights_and_no_other(applied, connect, account):
    from kubernetes import client

    access = client.AuthorizationV1Api(connect(account))
    allowed = set()
    for group, path in RESOURCES:
        resource, _, sub = path.partition("/")
        for verb in VERBS:
            attributes = client.V1ResourceAttributes(
                namespace="flywheel", group=group, resource=resource, subresource=sub or None, verb=verb
            )
            review = client.V1SelfSubjectAccessReview(
                spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
            )
            if access.create_self_subject_access_review(review).status.allowed:
                allowed.add((group, path, verb))
    wanted = expected(account)
    assert allowed == wanted, f"only in Git {wanted - allowed}, only in the cluster {allowed - wanted}"
    assert bool(wanted) == (account != "flywheel-steps")


@pytest.mark.slow
@pytest.mark.parametrize("account", ["flywheel-steps", "flywheel-launcher", "flywheel-deployer"])
def test_nothing_is_allowed_outside_the_namespace(applied, connect, account):
    from kubernetes import client

    access = client.AuthorizationV1Api(connect(account))
    for group, resource, verb in sorted(expected(account) | {("", "namespaces", "get"), ("", "nodes", "list")}):
        attributes = client.V1ResourceAttributes(
            namespace="default", group=group, resource=resource.split("/")[0], verb=verb
        )
        review = client.V1SelfSubjectAccessReview(
            spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
        )
        assert not access.create_self_subject_access_review(review).status.allowed, (group, resource, verb)


@pytest.mark.slow
def test_gitops_account_cannot_make_itself_an_admin(applied, connect):
    from kubernetes.client.exceptions import ApiException

    wide = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "everything", "namespace": "flywheel"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
    }
    with pytest.raises(ApiException) as refused:
        apply(connect("flywheel-gitops"), wide)
    assert refused.value.status == 403


@pytest.mark.slow
def test_changed_pipeline_makes_a_new_version_and_an_unchanged_one_none(applied, connect, tmp_path):
    """`flywheel compile` twice, and once with other content, each applied: the cluster holds two versions."""
    from kubernetes import client

    from flywheel.pipelines.compile import COMPILED
    from flywheel.pipelines.custom_resources import Origin, write

    compiled = tmp_path / "compiled"
    compiled.mkdir()
    shutil.copy(COMPILED / "monitor_model.yaml", compiled)
    gitops = connect("flywheel-gitops")

    def sync():
        *files, _index = write(compiled, tmp_path / "out", Origin("7.0.0"))
        for path in files:
            one = yaml.safe_load(path.read_text())
            one["metadata"]["namespace"] = "flywheel"
            apply(gitops, one)
        listed = client.CustomObjectsApi(gitops).list_namespaced_custom_object(
            "pipelines.kubeflow.org", "v2beta1", "flywheel", "pipelineversions"
        )
        return {
            one["metadata"]["name"]: one["metadata"]["generation"]
            for one in listed["items"]
            if one["spec"]["versionName"].startswith("7.0.0")
        }

    first = sync()
    assert sync() == first, "an unchanged pipeline makes no version, and changes none"
    file = compiled / "monitor_model.yaml"
    file.write_text(file.read_text().replace("description: ", "description: Now ", 1))
    second = sync()
    assert len(first) == 1
    assert len(second) == 2
    assert first.items() <= second.items()


@pytest.mark.slow
def test_a_wrong_training_runtime_is_refused(applied, connect):
    from kubernetes import client

    (body,) = [json.loads(json.dumps(one)) for one in applied if one["kind"] == "TrainingRuntime"]
    body["metadata"]["name"] = "wrong"
    body["spec"]["mlPolicy"]["numNodes"] = "two"
    with pytest.raises(client.exceptions.ApiException) as refused:
        client.CustomObjectsApi(connect("test-admin")).create_namespaced_custom_object(
            "trainer.kubeflow.org", "v1alpha1", "flywheel", "trainingruntimes", body
        )
    assert refused.value.status == 422
