"""The interface check between releases: what breaks callers needs a new major version, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.components import images
from flywheel.pipelines.compile import COMPILED
from flywheel.pipelines.interface import (
    Interface,
    Parameter,
    Release,
    breaking_changes,
    incompatible,
    interface_of,
    last_release,
    numbers,
    release_of,
)

TEXT, WHOLE = Parameter(type="STRING", required=True), Parameter(type="NUMBER_INTEGER", required=False)


def release(version: str, outputs: dict[str, str] | None = None, **inputs: Parameter) -> Release:
    return Release(version=version, pipelines={"turn": Interface(inputs=inputs, outputs=outputs or {})})


BEFORE = release("1.4.0", {"Output": "STRING"}, logs=TEXT, seed=WHOLE)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (release("1.5.0", {"Output": "STRING"}, logs=TEXT), "seed was removed"),
        (
            release("1.5.0", {"Output": "STRING"}, logs=TEXT, seed=Parameter(type="STRING", required=False)),
            "seed was NUMBER_INTEGER and is STRING",
        ),
        (
            release("1.5.0", {"Output": "STRING"}, logs=TEXT, seed=Parameter(type="NUMBER_INTEGER", required=True)),
            "seed lost its default",
        ),
        (release("1.5.0", {"Output": "STRING"}, logs=TEXT, seed=WHOLE, store=TEXT), "store has no default"),
        (release("1.5.0", {}, logs=TEXT, seed=WHOLE), "output Output was STRING and is gone"),
        (Release(version="1.5.0", pipelines={}), "the pipeline was removed"),
    ],
)
def test_breaking_change_needs_a_major_version(now, words):
    (line,) = incompatible(BEFORE, now)
    assert words in line
    assert incompatible(BEFORE, now.model_copy(update={"version": "2.0.0"})) == []


def test_additions_and_dropped_requirements_break_nobody():
    wider = release(
        "1.5.0", {"Output": "STRING", "n": "NUMBER_INTEGER"}, logs=Parameter(type="STRING", required=False),
        seed=WHOLE, budget=Parameter(type="NUMBER_DOUBLE", required=False),
    )  # fmt: skip
    assert incompatible(BEFORE, wider) == []


def test_older_version_than_the_released_is_refused():
    with pytest.raises(ValueError, match=r"1\.3\.9 is older than the released 1\.4\.0"):
        incompatible(BEFORE, BEFORE.model_copy(update={"version": "1.3.9"}))


@pytest.mark.parametrize("version", ["1.2", "one", "1.2.3.4"])
def test_version_that_is_none_is_refused(version):
    with pytest.raises(ValueError, match="no version"):
        numbers(version)


names = st.dictionaries(
    st.sampled_from("abcdef"), st.builds(Parameter, type=st.sampled_from(["STRING", "LIST"]), required=st.booleans())
)


@given(names, names)
def test_interface_is_compatible_with_itself_and_breaks_are_found_both_ways(one, other):
    first, second = release("1.0.0", **one), release("1.0.0", **other)
    assert breaking_changes(first, first) == []
    if any(second.pipelines["turn"].inputs.get(name) != parameter for name, parameter in one.items()):
        assert breaking_changes(first, second) or breaking_changes(second, first)


def test_interface_is_read_off_a_real_compiled_pipeline():
    now = release_of(images.VERSION, COMPILED)
    turn = now.pipelines["flywheel"]
    assert turn.inputs["logs"] == Parameter(type="STRING", required=True)
    assert turn.inputs["seed"] == Parameter(type="NUMBER_INTEGER", required=False)
    assert now.pipelines["retrain-model"].outputs == {"Output": "STRING"}


def test_artifact_inputs_count_too():
    spec = {
        "root": {
            "inputDefinitions": {
                "artifacts": {"data": {"artifactType": {"schemaTitle": "system.Dataset"}, "isOptional": True}}
            }
        }
    }
    assert interface_of(spec).inputs == {"data": Parameter(type="system.Dataset", required=False)}


def test_there_is_a_released_set_and_the_present_one_keeps_it():
    before = last_release()
    assert before is not None
    assert before.pipelines
    assert incompatible(before, release_of(images.VERSION, COMPILED)) == []


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no compiled pipelines"):
        release_of("1.0.0", tmp_path)
