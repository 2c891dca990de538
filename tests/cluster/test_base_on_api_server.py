"""The base manifests applied to a real API server, and what each service account may and may not do there."""

from pathlib import Path

import pytest
import yaml

BASE = Path(__file__).parents[2] / "manifests" / "base"
RIGHTS = {
    "flywheel-steps": set(),
    "flywheel-launcher": {
        ("trainer.kubeflow.org", "trainjobs", verb) for verb in ("create", "get", "list", "watch", "patch", "delete")
    },
    "flywheel-deployer": {
        ("serving.kserve.io", "inferenceservices", verb) for verb in ("get", "list", "watch", "patch")
    },
}
ASKED = [
    (group, resource, verb)
    for group, resource in (
        ("trainer.kubeflow.org", "trainjobs"),
        ("serving.kserve.io", "inferenceservices"),
        ("", "secrets"),
        ("apps", "deployments"),
        ("rbac.authorization.k8s.io", "rolebindings"),
    )
    for verb in ("create", "get", "list", "watch", "patch", "delete")
]


@pytest.fixture(scope="module")
def applied(api_server, connect):
    from kubernetes.dynamic import DynamicClient

    dynamic = DynamicClient(connect("test-admin"))
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    names = []
    for path in listed:
        for one in yaml.safe_load_all((BASE / path).read_text()):
            resource = dynamic.resources.get(api_version=one["apiVersion"], kind=one["kind"])
            namespace = "flywheel" if resource.namespaced else None
            dynamic.server_side_apply(
                resource,
                body=one,
                name=one["metadata"]["name"],
                namespace=namespace,
                field_manager="flywheel-test",
                force_conflicts=True,
            )
            names.append((one["kind"], one["metadata"]["name"]))
    return names


@pytest.mark.slow
def test_every_object_is_accepted(applied):
    assert ("TrainingRuntime", "flywheel-deepspeed") in applied
    assert len(applied) == 12


@pytest.mark.slow
@pytest.mark.parametrize("account", RIGHTS)
def test_account_has_its_rights_and_no_other(applied, connect, account):
    from kubernetes import client

    access = client.AuthorizationV1Api(connect(account))
    allowed = set()
    for group, resource, verb in ASKED:
        attributes = client.V1ResourceAttributes(namespace="flywheel", group=group, resource=resource, verb=verb)
        review = client.V1SelfSubjectAccessReview(
            spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
        )
        if access.create_self_subject_access_review(review).status.allowed:
            allowed.add((group, resource, verb))
    assert allowed == RIGHTS[account]


@pytest.mark.slow
def test_a_wrong_training_runtime_is_refused(applied, connect):
    from kubernetes import client

    body = yaml.safe_load((BASE / "training_runtime.yaml").read_text())
    body["metadata"]["name"] = "wrong"
    body["spec"]["mlPolicy"]["numNodes"] = "two"
    with pytest.raises(client.exceptions.ApiException) as refused:
        client.CustomObjectsApi(connect("test-admin")).create_namespaced_custom_object(
            "trainer.kubeflow.org", "v1alpha1", "flywheel", "trainingruntimes", body
        )
    assert refused.value.status == 422
