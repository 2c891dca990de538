"""Every pipeline of the collection by name, loaded only when asked for."""

import importlib
from typing import Any

# name -> function in the module of the same name (with underscores)
PIPELINES = ("flywheel", "ingest-feedback", "retrain-model", "roll-out-model", "monitor-model", "compare-versions")


def load(name: str) -> Any:
    """Import one pipeline.

    Args:
        name: One of `PIPELINES`.

    Returns:
        The KFP pipeline (a `GraphComponent`).

    Raises:
        ValueError: There is no pipeline of that name.
    """
    if name not in PIPELINES:
        raise ValueError(f"there is no pipeline {name!r}; choose one of {', '.join(PIPELINES)}")
    function = name.replace("-", "_")
    return getattr(importlib.import_module(f"flywheel.pipelines.{function}"), function)
