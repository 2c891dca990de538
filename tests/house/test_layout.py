"""The house rules that a script can check."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TOP = {"components", "pipelines", "manifests", "tests", "scripts"}
SOURCES = sorted(path for top in ("components", "pipelines", "scripts", "tests") for path in (ROOT / top).rglob("*.py"))
ROOMS = sorted(path for path in (ROOT / "components").iterdir() if path.is_dir() and path.name != "__pycache__")
NEEDED = {"name", "stability", "dependencies", "lastVerified"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_a_small_room(path):
    assert len(path.read_text().splitlines()) <= 400
    assert not re.fullmatch(r"utils?|helpers?|common|misc", path.stem)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_room_says_what_it_is(room):
    metadata = yaml.safe_load((room / "metadata.yaml").read_text())
    assert metadata.keys() >= NEEDED
    assert metadata["name"] == room.name
    assert metadata["stability"] in {"experimental", "alpha", "beta", "stable"}
    assert all(re.search(r"[<>=~]", str(span)) for span in metadata["dependencies"].values())
    assert (room / "__init__.py").read_text().lstrip().startswith('"""')
    assert list((ROOT / "tests" / room.name).glob("test_*.py")), f"no tests for {room.name}"


def test_dependencies_of_rooms_are_pinned():
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in pins}
    for room in ROOMS:
        for package in yaml.safe_load((room / "metadata.yaml").read_text())["dependencies"]:
            assert package.lower() in pinned, f"{room.name} needs {package}: not in constraints.txt"


def test_top_level_holds_only_what_was_agreed():
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert folders - {"runs", "build", "dist", "feedback_flywheel.egg-info"} == TOP
