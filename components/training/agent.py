"""`torchrun` with what training needs around it, on this machine and in the pods of a TrainJob.

python -m flywheel.components.training.agent [--scratch FOLDER] <arguments of torchrun>

Below a local launcher it dies with it, so that no orphan trains on. In a pod it tells by its exit status whether a
restart can help (the runtime's `podFailurePolicy` reads it), and carries the job from and to an object store when the
job file lies in one. Where and as which node it runs is in Kubeflow Trainer's PET_ variables, which torchrun reads.
"""

import os
import sys
import traceback
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun

from flywheel.components.deployment.serving.parent_death import die_with_parent
from flywheel.components.training.failure import FATAL_STATUS, RETRYABLE_STATUS, RankFailure
from flywheel.components.training.job import TrainingJob
from flywheel.components.training.process_environment import LAUNCHER


def run_in_pod(arguments: list[str]) -> int:
    """Run a node's part of a job.

    Args:
        arguments: Command line without the program's name.

    Returns:
        0, `FATAL_STATUS` when a rank said that the same job fails again, else `RETRYABLE_STATUS`.
    """
    scratch = Path("/scratch")
    if arguments[:1] == ["--scratch"]:
        scratch, arguments = Path(arguments[1]), arguments[2:]
    place = arguments.index("--job") + 1
    if "://" not in arguments[place]:
        return _torchrun(arguments, Path(TrainingJob.read(arguments[place]).work))
    from flywheel.components.training.exchange import Mirror

    with Mirror(arguments[place], scratch) as mirror:
        return _torchrun([*arguments[:place], str(mirror.job_file), *arguments[place + 1 :]], mirror.work)


def _torchrun(arguments: list[str], work: Path) -> int:
    try:
        torchrun(["--tee", "3", "--log-dir", str(work / "logs" / os.environ.get("PET_NODE_RANK", "0")), *arguments])
    except ChildFailedError as error:
        print(error, file=sys.stderr)
        fatal = any(RankFailure.read(path).kind == "fatal" for path in (work / "failures").glob("rank-*.json"))
        return FATAL_STATUS if fatal else RETRYABLE_STATUS
    except Exception:  # noqa: BLE001 - the border of the process: a rendezvous that failed may succeed next time
        traceback.print_exc()
        return RETRYABLE_STATUS
    return 0


if __name__ == "__main__":
    if LAUNCHER in os.environ:
        die_with_parent(int(os.environ[LAUNCHER]))
        torchrun()
    else:
        sys.exit(run_in_pod(sys.argv[1:]))
