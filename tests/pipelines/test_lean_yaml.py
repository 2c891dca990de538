"""Docstrings are cut out of compiled source and nothing else is; the YAML says the same."""

import ast

import pytest
import yaml

from flywheel.pipelines.compile import COMPILED
from flywheel.pipelines.lean_yaml import slim, without_docstrings

SOURCE = '''
import kfp

def step(a: int, text: str = """not a docstring""") -> int:
    """Do it.

    Args:
        a: A number.
    """
    """a string that stands alone"""
    def inner():
        "short"
    x = """a
    value"""
    return a
'''


def test_only_docstrings_go():
    cut = without_docstrings(SOURCE)
    assert "Do it" not in cut
    assert "short" not in cut
    for kept in ('"""not a docstring"""', "stands alone", "a\n    value", "pass", "return a"):
        assert kept in cut
    names = {"int": int, "str": str}
    exec(compile(ast.parse(cut.replace("import kfp", "")), "cut", "exec"), names)
    assert names["step"](3) == 3


def test_second_time_changes_nothing(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_bytes((COMPILED / "monitor_model.yaml").read_bytes())
    slim(path)
    assert path.read_bytes() == (COMPILED / "monitor_model.yaml").read_bytes()


@pytest.mark.parametrize("path", sorted(COMPILED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_step_is_source_that_python_reads(path):
    spec = next(yaml.safe_load_all(path.read_text()))
    sources = [
        word
        for one in spec["deploymentSpec"]["executors"].values()
        for word in one.get("container", {}).get("command", [])
        if word.startswith("\nimport kfp")
    ]
    assert sources
    for source in sources:
        functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
        assert functions
        assert all(ast.get_docstring(node) is None for node in functions)
