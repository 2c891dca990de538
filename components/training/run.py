"""One training process: what `torchrun` starts on every rank, here and in a TrainJob.

torchrun --standalone --nproc_per_node N -m flywheel.components.training.run --job job.json
"""

import argparse
import os
import sys
import time
from pathlib import Path

from flywheel.components.deployment.serving.parent_death import die_with_parent
from flywheel.components.training.failure import RankFailure, classify, explain, explains_itself
from flywheel.components.training.job import TrainingJob
from flywheel.components.training.process_environment import LAUNCHER


def main(arguments: list[str] | None = None) -> int:
    """Run one rank of a job.

    Args:
        arguments: Command line without the program's name; None: the process's own.

    Returns:
        0 when the rank did its part, 1 when it failed and said why in `<work>/failures/rank-<n>.json`.
    """
    parser = argparse.ArgumentParser(description="One process of a training job; started by torchrun.")
    parser.add_argument("--job", required=True, help="job file (flywheel.job/v1)")
    job = TrainingJob.read(parser.parse_args(arguments).job)
    # A pod that was started again must not leave its former word standing.
    _failure_file(job).unlink(missing_ok=True)
    if LAUNCHER in os.environ:  # a local launcher: it must not leave orphans behind
        die_with_parent(os.getppid())
    if job.device == "cpu":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    try:
        from flywheel.components.training import sft

        sft.train(job)
    except Exception as error:  # noqa: BLE001 - the border of the process: whatever it was, the launcher must learn it
        _report(job, error)
        return 1
    return 0


def _report(job: TrainingJob, error: BaseException) -> None:
    """Leave word for the launcher, and the traceback in the rank's own log."""
    import traceback

    traceback.print_exception(error)
    rank = int(os.environ.get("RANK", "0"))
    failure = RankFailure(
        rank=rank,
        kind=classify(error),
        message=explain(error),
        explained=explains_itself(error),
        at=time.time(),
    )
    failure.write(_failure_file(job))


def _failure_file(job: TrainingJob) -> Path:
    return Path(job.work) / "failures" / f"rank-{os.environ.get('RANK', '0')}.json"


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Without the interpreter's teardown: there, torch's threads now and then abort a process that had done its work,
    # and a failed rank could wait for its neighbours.
    os._exit(status)
