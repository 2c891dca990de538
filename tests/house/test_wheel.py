"""The wheel builds, installs into a clean environment, imports, and brings the `flywheel` command."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_wheel_installs_and_runs(tmp_path):
    source = tmp_path / "source"
    subprocess.run(["git", "-C", ROOT, "checkout-index", "-a", f"--prefix={source}/"], check=False, timeout=60)
    if not (source / "pyproject.toml").exists():  # not a git checkout (an unpacked archive): build from the tree itself
        source = ROOT
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", source]
    done = subprocess.run(build, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "flywheel/pipelines/flywheel.py" in names
    assert "flywheel/components/evaluation/verdict/gauntlet.yaml" in names
    assert not [name for name in names if name.startswith(("tests/", "components/"))]

    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--no-index", "--no-deps", wheel]
    subprocess.run(install, check=True, capture_output=True, timeout=100)
    # the dependencies come from this environment by path; its editable install of the project does not
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = [python, "-c", "import flywheel.components.contracts as c; print(c.__file__)"]
    assert str(site) in subprocess.run(where, capture_output=True, text=True, check=True, timeout=60).stdout
    command = [tmp_path / "venv" / "bin" / "flywheel", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "registry" in done.stdout
