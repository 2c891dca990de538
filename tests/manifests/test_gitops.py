"""Argo CD and Flux: order, pruning, what the rollout owns, and the health scripts run by a real Lua."""

from pathlib import Path

import lupa
import pytest
import yaml

MANIFESTS = Path(__file__).parents[2] / "manifests"
HEALTH = MANIFESTS / "argocd" / "health"


def health(script: str, **obj) -> tuple[str, str]:
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)

    def table(value):
        if isinstance(value, dict):
            return lua.table_from({key: table(part) for key, part in value.items()})
        if isinstance(value, list):
            return lua.table_from([table(part) for part in value])
        return value

    function = lua.eval("function(obj) " + (HEALTH / script).read_text() + " end")
    found = function(table({"metadata": {}, **obj}))
    return found["status"], found["message"]


def condition(kind, status, message="words"):
    return {"conditions": [{"type": kind, "status": status, "message": message}]}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        ({}, "Progressing"),
        ({"status": condition("PipelineVersionStatus", "True")}, "Healthy"),
        ({"status": condition("PipelineVersionStatus", "False", "bad spec")}, "Degraded"),
        ({"status": condition("PipelineVersionStatus", "Unknown")}, "Progressing"),
        ({"metadata": {"ownerReferences": [{"kind": "Pipeline"}]}}, "Healthy"),
    ],
)
def test_health_of_a_pipeline_version(obj, expected):
    assert health("pipeline_version.lua", **obj)[0] == expected


def test_health_tells_the_reason():
    assert (
        health("pipeline_version.lua", status=condition("PipelineVersionStatus", "False", "bad spec"))[1] == "bad spec"
    )
    assert health("pipeline.lua") == ("Healthy", "stored")


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("Complete", "True", "Healthy"),
        ("Failed", "True", "Degraded"),
        ("Suspended", "True", "Suspended"),
        ("Suspended", "False", "Progressing"),
    ],
)
def test_health_of_a_train_job(kind, status, expected):
    assert health("train_job.lua", status=condition(kind, status))[0] == expected
    assert health("train_job.lua")[0] == "Progressing"


def test_health_scripts_are_installed_under_the_keys_that_argo_reads(render):
    (config,) = [one for one in render("argocd") if one["kind"] == "ConfigMap"]
    assert config["metadata"]["name"] == "argocd-cm"
    for kind, script in (
        ("pipelines.kubeflow.org_PipelineVersion", "pipeline_version.lua"),
        ("pipelines.kubeflow.org_Pipeline", "pipeline.lua"),
        ("trainer.kubeflow.org_TrainJob", "train_job.lua"),
    ):
        assert config["data"][f"resource.customizations.health.{kind}"] == (HEALTH / script).read_text()


def wave(one) -> int:
    return int(one["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0"))


def test_waves_bring_what_is_needed_first(render):
    waves: dict[str, set[int]] = {}
    for one in render("overlays/prod"):
        waves.setdefault(one["kind"], set()).add(wave(one))
    order = ["Namespace", "PersistentVolumeClaim", "ClusterQueue", "TrainingRuntime", "ServiceMonitor"]
    assert [max(waves[kind]) for kind in order] == sorted(max(waves[kind]) for kind in order)
    assert max(waves["Namespace"]) < min(waves["ServiceAccount"]) < min(waves["ServiceMonitor"])
    if "PipelineVersion" in waves:
        assert max(waves["Pipeline"]) < min(waves["PipelineVersion"])


def test_old_versions_are_never_pruned(render):
    for one in render("overlays/prod"):
        if one["kind"] in ("Pipeline", "PipelineVersion"):
            assert "Prune=false" in one["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]


def test_argo_leaves_a_running_canary_alone_and_may_not_write_secrets(render):
    (application,) = [one for one in render("argocd") if one["kind"] == "Application"]
    ignored = {one["kind"]: one for one in application["spec"]["ignoreDifferences"]}
    assert {".spec.canary", ".spec.predictor.canaryTrafficPercent"} <= set(
        ignored["InferenceService"]["jqPathExpressions"]
    )
    assert "RespectIgnoreDifferences=true" in application["spec"]["syncPolicy"]["syncOptions"]
    (project,) = [one for one in render("argocd") if one["kind"] == "AppProject"]
    assert {"group": "", "kind": "Secret"} in project["spec"]["namespaceResourceBlacklist"]
    cluster_wide = {one["kind"] for one in project["spec"]["clusterResourceWhitelist"]}
    used = {
        one["kind"] for one in render("overlays/prod") if one["kind"] in ("Namespace", "ClusterQueue", "ResourceFlavor")
    }
    assert used <= cluster_wide


def test_flux_orders_and_does_not_prune_pipelines(render, tmp_path):
    kustomizations = {one["metadata"]["name"]: one["spec"] for one in render("flux") if one["kind"] == "Kustomization"}
    pipelines = kustomizations["flywheel-pipelines"]
    assert pipelines["dependsOn"] == [{"name": "flywheel"}]
    assert pipelines["prune"] is False
    for spec in kustomizations.values():
        assert (MANIFESTS.parent / spec["path"] / "kustomization.yaml").is_file()


def test_versions_agree(render):
    from flywheel.components import images

    (application,) = [one for one in render("argocd") if one["kind"] == "Application"]
    (repository,) = [one for one in render("flux") if one["kind"] == "GitRepository"]
    assert application["spec"]["source"]["targetRevision"] == f"v{images.VERSION}"
    assert yaml.safe_dump(repository["spec"]["ref"]) == f"tag: v{images.VERSION}\n"
