import ast
import dataclasses
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from flywheel.components import statistics
from flywheel.components.statistics.betting import betting_interval
from flywheel.components.statistics.paired_clusters import cluster_difference, cluster_noninferiority_p
from flywheel.components.statistics.precision_threshold import choose_threshold
from flywheel.components.statistics.prediction_powered import ppi_mean
from flywheel.components.statistics.ratio_of_means import paired_log_ratio, paired_quantile_difference
from flywheel.components.statistics.win_rate import win_rate

ROOM = Path(statistics.__file__).parent
MODULES = sorted(path.stem for path in ROOM.glob("*.py") if path.stem != "__init__")


def test_metadata_names_the_room_and_its_needs():
    metadata = yaml.safe_load((ROOM / "metadata.yaml").read_text())
    assert metadata["name"] == "statistics" and metadata["stability"] == "alpha"
    assert metadata["dependencies"] == {"numpy": ">=1.26", "scipy": ">=1.13,<2"}
    assert metadata["lastVerified"].year == 2026 and metadata["tags"]


@pytest.mark.parametrize("module", MODULES)
def test_only_numpy_and_scipy_and_no_long_files(module):
    source = (ROOM / f"{module}.py").read_text()
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in getattr(node, "names", [])]
        )
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported - set(sys.stdlib_module_names) <= {"numpy", "scipy", "flywheel"}
    assert len(source.splitlines()) <= 400


def test_the_room_itself_imports_nothing_heavy():
    code = "import sys, flywheel.components.statistics; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_every_module_is_importable_alone_with_numpy_and_scipy_only(tmp_path):
    """In a process whose path holds numpy, scipy, this room and nothing else; each module in a fresh interpreter state."""
    packages = Path(np.__file__).parent.parent
    for name in ("numpy", "numpy.libs", "scipy", "scipy.libs"):
        if (packages / name).exists():  # the libs folders exist in wheels only
            (tmp_path / name).symlink_to(packages / name)
    (tmp_path / "flywheel" / "components").mkdir(parents=True)
    (tmp_path / "flywheel" / "components" / "statistics").symlink_to(ROOM)
    code = """
import importlib, sys
sys.path = [path for path in sys.path if "site-packages" not in path and "dist-packages" not in path] + [sys.argv[1]]
for name in sys.argv[2:]:
    for known in [known for known in sys.modules if known.startswith("flywheel")]:
        del sys.modules[known]
    importlib.import_module(f"flywheel.components.statistics.{name}")
try:
    import pydantic
except ModuleNotFoundError:
    print("alone")
"""
    process = subprocess.run(
        [sys.executable, "-S", "-P", "-c", code, str(tmp_path), *MODULES],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert process.stdout == "alone\n", process.stderr


def test_results_survive_json():
    rng = np.random.default_rng(0)
    a, b, who = rng.random(200), rng.random(200), np.arange(200) // 2
    bits = (a > 0.5).astype(int)
    results = [
        cluster_difference(a, b, who),
        cluster_difference(a, b, who, method="bootstrap"),
        paired_log_ratio(a, b, who),
        paired_quantile_difference(a, b, clusters=who),
        ppi_mean(bits, bits[:50], bits[:50]),
        win_rate(["candidate", "tie"] * 20, ["candidate", "production"] * 20),
        choose_threshold(a, bits),
        betting_interval(a, 0.05),
    ]
    for result in results:
        assert json.loads(json.dumps(dataclasses.asdict(result), allow_nan=False)) == dataclasses.asdict(result)
    assert type(cluster_noninferiority_p(a, b, who, 0.1)) is float


def test_readme_names_every_module_and_only_functions_that_exist():
    text = (ROOM / "README.md").read_text()
    table = [line for line in text.splitlines() if line.startswith("| ") and "`" in line]
    named = set()
    for line in table:
        _, _, modules, functions, _ = line.split("|")
        found = re.findall(r"`(\w+)`", modules)
        named |= set(found)
        rooms = [importlib.import_module(f"{statistics.__name__}.{module}") for module in found]
        for function in re.findall(r"`(\w+)`", functions):
            assert any(hasattr(room, function) for room in rooms), (function, found)
    assert named | {"checked", "interval", "cluster_mean"} == set(MODULES)
