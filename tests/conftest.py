"""What is slow as a whole: simulations wherever they stand, and tests that start an API server."""

from pathlib import Path

import pytest

SLOW = {"simulation", "cluster"}


def pytest_collection_modifyitems(items):
    """Mark every test of these folders as slow, so that none is forgotten."""
    root = Path(__file__).parent
    for item in items:
        if item.path.relative_to(root).parts[0] in SLOW or item.get_closest_marker("simulation"):
            item.add_marker(pytest.mark.slow)
