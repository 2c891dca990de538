"""A launcher in a process of its own, forked for every line on stdin: `pid file, output file, job file, options`.

Forking costs a twentieth of a start, and the tests kill many.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import kubernetes  # noqa: F401 - before forking
import yaml  # noqa: F401

from flywheel.components.cluster.connection import connect
from flywheel.components.cluster.patience import Patience
from flywheel.components.training.cluster.launcher import TrainJobBackend
from flywheel.components.training.cluster.settings import TrainingCluster
from flywheel.components.training.job import TrainingJob


def launch(job_file: str, options: str, output: Path) -> None:
    said = []
    answer = {"said": said}
    try:
        settings = TrainingCluster.of(json.loads(options))
        cluster = connect(settings.namespace, Patience(seconds=20, first=0.05, most=0.3))
        backend = TrainJobBackend(settings, cluster, look_every=1.0)
        job = TrainingJob.read(job_file)
        backend.world(1, 8)
        job = job.model_copy(update={"work": str(backend.folder(job.fingerprint(), Path(settings.workspace) / "o"))})
        launched = backend.launch(job, said.append)
        answer |= {"digest": launched.result.digest, "adopted": launched.adopted, "details": launched.details}
    except Exception as error:
        answer |= {"error": str(error), "reason": getattr(error, "reason", ""), "trace": traceback.format_exc()}
    output.write_text(json.dumps(answer))


for line in sys.stdin:
    pid_file, output, job_file, options = line.rstrip("\n").split("\t")
    child = os.fork()
    if child == 0:
        Path(pid_file).write_text(str(os.getpid()))
        launch(job_file, options, Path(output))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
