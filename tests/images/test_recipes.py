"""The recipe of the images and the workflows that build, list and sign them: shape and pins."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RECIPE = (ROOT / "manifests/images/Containerfile").read_text()
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yaml"))


def test_base_is_pinned_by_digest():
    (base,) = re.findall(r"^ARG BASE=(\S+)$", RECIPE, re.MULTILINE)
    assert re.search(r":3\.1[123]-slim-\w+@sha256:[0-9a-f]{64}$", base)
    assert set(re.findall(r"^FROM (\S+)", RECIPE, re.MULTILINE)) == {"${BASE}", "runtime"}


@pytest.mark.parametrize("target", ["data", "control", "training"])
def test_every_target_is_non_root_and_installs_the_pinned_set_of_its_extra(target):
    part = re.search(rf"^FROM runtime AS {target}\n(.*?)(?=^FROM|\Z)", RECIPE, re.MULTILINE | re.DOTALL).group(1)
    assert f"[{target}]" in part
    assert "-c /dist/constraints.txt" in part
    assert part.rstrip().endswith("USER 1000:1000")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_is_pinned_bounded_and_least_privileged(path):
    content = yaml.safe_load(path.read_text())
    assert content["permissions"] == {"contents": "read"}
    for name, job in content["jobs"].items():
        assert job["timeout-minutes"] <= 90, name
        assert not job["runs-on"].endswith("latest")
        for step in job["steps"]:
            if "uses" in step:
                assert re.search(r"@(v\d+\.\d+\.\d+|[0-9a-f]{40})$", step["uses"]), step["uses"]


def test_release_lists_and_signs_every_image():
    job = yaml.safe_load((ROOT / ".github/workflows/release.yaml").read_text())["jobs"]["image"]
    assert job["strategy"]["matrix"]["target"] == ["data", "control", "training"]
    assert job["permissions"]["id-token"] == "write"
    text = yaml.safe_dump(job["steps"])
    assert "cosign sign" in text
    assert "cosign attest" in text
    assert "spdx-json" in text
    assert "@${{ steps.build.outputs.digest }}" in text, "signed by digest, never by tag"


def test_there_are_workflows():
    assert [path.stem for path in WORKFLOWS] == ["ci", "release"]
