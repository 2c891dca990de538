"""The compiled pipelines: committed, byte-stable, small, plain ASCII, no cache on steps with side effects, no secrets."""

import re

import pytest
import yaml

from flywheel.components import images
from flywheel.pipelines import catalogue
from flywheel.pipelines.compile import COMPILED, compile_all, drifted
from flywheel.pipelines.task_settings import ENDPOINT_SECRET, PSEUDONYM_SECRET

FILES = [COMPILED / f"{name.replace('-', '_')}.yaml" for name in catalogue.PIPELINES]
IDS = [path.stem for path in FILES]
SECRET = re.compile(r"token(?!s)|secret|password|api_?key|credential", re.IGNORECASE)


def documents(path):
    return list(yaml.safe_load_all(path.read_text()))


def components(document):
    yield from document.get("components", {}).values()


def tasks(dag):
    return dag.get("dag", {}).get("tasks", {})


def test_two_compiles_are_equal(tmp_path):
    first = [path.read_bytes() for path in compile_all(tmp_path / "a")]
    second = [path.read_bytes() for path in compile_all(tmp_path / "b")]
    assert first == second
    assert len(first) == len(catalogue.PIPELINES)


def test_committed_files_are_up_to_date():
    assert drifted() == []


def test_drift_is_seen(tmp_path):
    compile_all(tmp_path)
    (tmp_path / "flywheel.yaml").write_text("changed: true\n")
    (tmp_path / "left_over.yaml").write_text("old: true\n")
    assert drifted(tmp_path) == ["flywheel.yaml", "left_over.yaml"]


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_small_and_ascii(path):
    content = path.read_bytes()
    content.decode("ascii")
    assert len(content) < 256 * 1024


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_parameter_carries_a_secret(path):
    (spec, *_) = documents(path)
    for part in [spec["root"], *components(spec)]:
        for name in part.get("inputDefinitions", {}).get("parameters", {}):
            assert not SECRET.search(name), name


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_step_is_cached(path):
    (spec, *_) = documents(path)
    leaves = {name for name, part in spec["components"].items() if "executorLabel" in part}
    seen = 0
    for part in [spec["root"], *components(spec)]:
        for name, task in tasks(part).items():
            if task["componentRef"]["name"] in leaves and "importer" not in name:
                seen += 1
                assert not task.get("cachingOptions", {}).get("enableCache"), name
    assert seen >= 1


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_images_and_limits(path):
    (spec, *_) = documents(path)
    containers = [one["container"] for one in spec["deploymentSpec"]["executors"].values() if "container" in one]
    assert containers
    for container in containers:
        assert container["image"] in {images.DATA, images.TRAINING, images.CONTROL}
        assert container["image"].endswith(f":{images.VERSION}")
        assert container["resources"]["resourceCpuLimit"]
        assert container["resources"]["resourceMemoryLimit"]


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_every_step_ends_some_day(path):
    spec, platform = documents(path)
    timed = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    steps = {name for name, one in spec["deploymentSpec"]["executors"].items() if "container" in one}
    assert {name for name in steps if int(timed.get(name, {}).get("activeDeadlineSeconds", 0)) > 0} == steps


def test_order_of_the_flywheel():
    (spec, *_) = documents(COMPILED / "flywheel.yaml")
    body = spec["components"]["comp-exit-handler-1"]
    nested = {"check-inputs", "ingest-feedback", "retrain-model", "monitor-model"}
    assert nested < set(tasks(body))
    assert tasks(body)["retrain-model"]["dependentTasks"] == ["check-inputs", "ingest-feedback"]
    assert "check-surroundings" in tasks(body)["ingest-feedback"]["dependentTasks"]
    assert spec["root"]["dag"]["tasks"]["write-report"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"


def test_the_pseudonym_key_is_a_secret_of_the_steps_that_name_people():
    spec, platform = documents(COMPILED / "flywheel.yaml")
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    mounted = {
        name: [one["secretName"] for one in settings.get("secretAsEnv", [])] for name, settings in executors.items()
    }
    naming = {name for name, secrets in mounted.items() if PSEUDONYM_SECRET in secrets}
    assert naming == {"exec-intake-feedback", "exec-import-reviews"}
    asking = {name for name, secrets in mounted.items() if ENDPOINT_SECRET in secrets}
    asks_people = {"exec-import-reviews", "exec-export-for-review"}
    assert asking == {"exec-judge-answers", "exec-attack-models"} | asks_people
    keys = [one for name in asking for one in executors[name]["secretAsEnv"] if one["secretName"] == ENDPOINT_SECRET]
    assert len(keys) == len(asking) and all(one["optional"] for one in keys)
    assert spec["pipelineInfo"]["name"] == "flywheel"
