"""Run a pipeline on this machine with KFP's own local runner, in a process of its own.

`python -m flywheel.pipelines.local_run PIPELINE PARAMETERS.json FOLDER` exits with 0 when the run succeeded, 3 when a
step failed. The parameters file holds the pipeline's arguments as JSON.
"""

import json
import sys
from pathlib import Path

from flywheel.pipelines import catalogue

FAILED = 3


def main(arguments: list[str]) -> int:
    """Run one pipeline.

    Args:
        arguments: Pipeline name, path of the parameters file, folder for the run's artifacts.

    Returns:
        Exit code.
    """
    from kfp import local

    name, parameters, folder = arguments
    pipeline = catalogue.load(name)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(Path(folder)), raise_on_error=True)
    try:
        pipeline(**json.loads(Path(parameters).read_text(encoding="utf-8")))
    except RuntimeError as error:  # raised by kfp for a failed task; its own log above holds the cause
        print(f"pipeline failed: {error}", flush=True)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
