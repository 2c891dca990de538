"""Pipelines as resources for GitOps: names from content, byte-stable, immutable once written."""

import shutil

import pytest
import yaml

from flywheel.components import images
from flywheel.pipelines import catalogue, custom_resources
from flywheel.pipelines.compile import COMPILED
from flywheel.pipelines.custom_resources import Origin, missing, resources, write

ORIGIN = Origin("1.2.3", "c" * 40)


@pytest.fixture
def compiled(tmp_path):
    folder = tmp_path / "compiled"
    folder.mkdir()
    for name in ("monitor_model.yaml", "ingest_feedback.yaml"):
        shutil.copy(COMPILED / name, folder)
    return folder


def versions(folder):
    return {path.name: path.read_bytes() for path in folder.glob("versions/*.yaml")}


def test_second_compile_of_the_same_content_changes_nothing(compiled, tmp_path):
    files = write(compiled, tmp_path / "out", ORIGIN)
    before = {path: path.read_bytes() for path in files}
    write(compiled, tmp_path / "out", Origin("1.2.3", "d" * 40))
    assert {path: path.read_bytes() for path in files} == before
    assert len(versions(tmp_path / "out")) == 2


def test_changed_content_makes_a_new_version_and_keeps_the_old_one(compiled, tmp_path):
    out = tmp_path / "out"
    write(compiled, out, ORIGIN)
    old = versions(out)
    file = compiled / "monitor_model.yaml"
    file.write_text(file.read_text().replace("description: ", "description: Now ", 1))
    write(compiled, out, ORIGIN)
    new = versions(out)
    assert old.items() < new.items()
    (added,) = new.keys() - old.keys()
    assert added.startswith("monitor-model-1.2.3-")
    listed = yaml.safe_load((out / "kustomization.yaml").read_text())["resources"]
    assert f"versions/{added}" in listed
    assert len(listed) == 5


def test_version_says_where_it_comes_from(compiled):
    pipeline, version = resources((compiled / "ingest_feedback.yaml").read_text(), ORIGIN)
    assert version["spec"]["pipelineName"] == pipeline["metadata"]["name"] == "ingest-feedback"
    assert version["spec"]["codeSourceURL"].endswith("/tree/" + "c" * 40)
    assert version["spec"]["tags"]["commit"] == "c" * 40
    assert "secretAsEnv" in str(version["spec"]["platformSpec"]), "the pseudonym key comes with the platform spec"
    assert resources((compiled / "ingest_feedback.yaml").read_text(), Origin("1.2.3"))[1]["spec"][
        "codeSourceURL"
    ].endswith("/tree/v1.2.3")


def test_what_git_lacks_is_named(compiled, tmp_path):
    out = tmp_path / "out"
    assert any("is missing" in line for line in missing(compiled, out, "1.2.3"))
    write(compiled, out, ORIGIN)
    assert missing(compiled, out, "1.2.3") == []
    assert missing(compiled, out, "1.2.4"), "another package version is another version"
    (first,) = out.glob("versions/monitor-model-*.yaml")
    first.write_text(first.read_text().replace("sdkVersion: kfp-2.17.0", "sdkVersion: kfp-2.99.0"))
    (line,) = missing(compiled, out, "1.2.3")
    assert "pipelineSpec is not what its name says" in line


def test_other_yaml_is_refused():
    with pytest.raises(ValueError, match="not a compiled pipeline"):
        resources("a: 1\n", ORIGIN)


def test_committed_resources_hold_exactly_the_compiled_pipelines():
    assert missing(COMPILED, custom_resources.FOLDER, images.VERSION) == []
    assert len(list(custom_resources.FOLDER.glob("pipelines/*.yaml"))) == len(catalogue.PIPELINES)
