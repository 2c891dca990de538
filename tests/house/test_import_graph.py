"""Cores import neither kfp nor kubernetes, and steps that need no torch do not load it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "components").rglob("*.py"))
WRAPPERS = [path for path in MODULES if path.name == "component.py"]
# What talks to Kubernetes lives in folders named `cluster`; only wrappers and other such folders may reach it.
CORES = [path for path in MODULES if path.name != "component.py" and "cluster" not in path.relative_to(ROOT).parts]
FORBIDDEN = {"kfp", "kubernetes"}
# the rooms whose steps run in the data or control image without a model in memory
WITHOUT_TORCH = (
    "contracts",
    "store",
    "statistics",
    "preflight",
    "intake",
    "curation",
    "validation",
    "monitoring",
    "dataset",
    "registry",
    "report",
)


def imported_names(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def reaches(path: Path, seen: dict[Path, set[str]]) -> set[str]:
    """External top-level packages that a module reaches through our own modules."""
    if path in seen:
        return seen[path]
    seen[path] = set()
    external: set[str] = set()
    for name in imported_names(ast.parse(path.read_text())):
        if name.startswith("flywheel."):
            base = ROOT / Path(*name.split(".")[1:])
            for candidate in (base.with_suffix(".py"), base / "__init__.py"):
                if candidate.exists():
                    external |= reaches(candidate, seen)
        else:
            external.add(name.split(".")[0])
    seen[path] = external
    return external


def test_there_is_something_to_check():
    assert len(CORES) > 40
    assert len(WRAPPERS) >= 10


@pytest.mark.parametrize("path", CORES, ids=lambda path: str(path.relative_to(ROOT)))
def test_core_reaches_neither_kfp_nor_kubernetes(path):
    assert not reaches(path, {}) & FORBIDDEN


def test_the_check_sees_a_forbidden_import(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from kubernetes import client\n    return client\n")
    assert reaches(bad, {}) & FORBIDDEN


@pytest.mark.parametrize("path", WRAPPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_wrapper_is_thin(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            statements = [
                child
                for child in node.body
                if not isinstance(child, ast.Expr | ast.Import | ast.ImportFrom)
                or (isinstance(child, ast.Expr) and not isinstance(child.value, ast.Constant))
            ]
            lines = sum((child.end_lineno or child.lineno) - child.lineno + 1 for child in statements)
            assert lines <= 30, f"{path.parent.name}.{node.name}: {lines} lines in a wrapper; move logic to the core"


def test_steps_without_a_model_do_not_load_torch():
    modules = [
        ".".join(("flywheel", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for path in MODULES
        if path.relative_to(ROOT).parts[1] in WITHOUT_TORCH
    ]
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
        "print(len(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
