"""Each step's image holds what the step imports: the import graph against the extras of pyproject.toml."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = importlib.metadata.packages_distributions()
EXTRA = {"DATA": "data", "TRAINING": "training", "CONTROL": "control"}


def name_of(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def closure(requirements: list[str]) -> set[str]:
    """Names of all distributions that installing the requirements brings."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = name_of(requirement.name)
        key = f"{name}{sorted(requirement.extras)}"
        if key in found:
            continue
        found |= {name, key}
        for text in importlib.metadata.requires(requirement.name) or []:
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return found


IMAGES = {
    image: closure(PROJECT["dependencies"] + PROJECT["optional-dependencies"][extra]) for image, extra in EXTRA.items()
}


def imports(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def reached(names: set[str], seen: set[Path]) -> set[str]:
    """External top-level packages behind imported names, followed through our own modules."""
    external = set()
    for name in names:
        if not name.startswith("flywheel."):
            external.add(name.split(".")[0])
            continue
        base = ROOT / Path(*name.split(".")[1:])
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.exists() and path not in seen:
                seen.add(path)
                external |= reached(imports(ast.parse(path.read_text())), seen)
    return external


def steps():
    for path in sorted((ROOT / "components").rglob("component.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                (decorator,) = [one for one in node.decorator_list if isinstance(one, ast.Call)]
                (image,) = [word.value.attr for word in decorator.keywords if word.arg == "base_image"]
                yield pytest.param(image, node, id=f"{path.parent.name}.{node.name}")


@pytest.mark.parametrize(("image", "function"), list(steps()))
def test_image_holds_what_the_step_imports(image, function):
    needed = reached(imports(function), set()) - set(sys.stdlib_module_names) - {"flywheel"}
    missing = {
        package for package in needed if not {name_of(one) for one in DISTRIBUTIONS.get(package, ["?"])} & IMAGES[image]
    }
    assert not missing, f"the {EXTRA[image]} extra lacks {sorted(missing)}"


def test_the_check_can_fail():
    assert "torch" not in IMAGES["DATA"]
    assert "great-expectations" not in IMAGES["CONTROL"]
