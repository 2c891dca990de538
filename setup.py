"""Map the top-level folders to the `flywheel` namespace: components/ -> flywheel.components, and so on."""

from setuptools import find_packages, setup

ROOMS = ("components", "pipelines", "scripts")
found = find_packages(include=[pattern for room in ROOMS for pattern in (room, f"{room}.*")])
setup(packages=[f"flywheel.{name}" for name in found], package_dir={f"flywheel.{room}": room for room in ROOMS})
