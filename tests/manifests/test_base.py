"""The base manifests: complete, on this package's version, and least privilege."""

from pathlib import Path

import yaml

from flywheel.components import images

BASE = Path(__file__).parents[2] / "manifests" / "base"


def objects():
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    return [one for name in listed for one in yaml.safe_load_all((BASE / name).read_text())]


def test_every_file_is_listed():
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(path.name for path in BASE.glob("*.yaml") if path.name != "kustomization.yaml")


def test_no_role_has_a_wildcard_or_reads_secrets():
    roles = [one for one in objects() if one["kind"] == "Role"]
    assert len(roles) == 2
    for role in roles:
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
            assert "secrets" not in rule["resources"]


def test_runtime_uses_this_version_and_runs_restricted():
    (runtime,) = [one for one in objects() if one["kind"] == "TrainingRuntime"]
    pod = runtime["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == images.TRAINING
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
