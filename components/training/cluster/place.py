"""Where a job's inputs, checkpoints and results lie so that both this step and the training pods reach them."""

import os
import shutil
from pathlib import Path
from typing import Any, Protocol

from flywheel.components.training import exchange
from flywheel.components.training.cluster.settings import TrainingCluster
from flywheel.components.training.failure import RankFailure
from flywheel.components.training.job import TrainingJob, TrainingResult
from flywheel.components.training.local_launcher import result_of
from flywheel.components.training.progress import Follower


class Place(Protocol):
    """Hands a job over and takes its result; `job.work` is the folder that this process sees."""

    def hand_over(self, job: TrainingJob) -> str:
        """Bring inputs and job file there; return the job file as the pods see it."""

    def clear(self, job: TrainingJob) -> None:
        """Remove what an earlier attempt said about its end, before a new one; checkpoints stay."""

    def ended(self, job: TrainingJob) -> bool:
        """Whether the job has left a result file (cheap; `result` checks it)."""

    def result(self, job: TrainingJob) -> TrainingResult | None:
        """Bring result and model here; None when there is none, or the model is not the result's."""

    def failures(self, job: TrainingJob) -> list[RankFailure]:
        """What the ranks said about their ends."""

    def progress(self, job: TrainingJob) -> list[dict[str, Any]]:
        """New progress lines since the last call."""

    def keep(self, job: TrainingJob) -> None:
        """Bring `<work>/launch` to where it outlives this step."""

    def kept(self, job: TrainingJob) -> str:
        """Tell a person where that is."""


class SharedVolume:
    """A volume that this step and the pods mount at the same path."""

    def __init__(self, settings: TrainingCluster):
        """Check that the volume is here.

        Raises:
            ValueError: It is not, or cannot be written to.
        """
        self.root, self.claim = Path(settings.workspace), settings.claim
        if not self.root.is_dir() or not os.access(self.root, os.W_OK):
            raise ValueError(
                f"the workspace {self.root} is not a writable folder of this step: mount the claim {settings.claim} "
                f"there (kfp.kubernetes.mount_pvc), or give another `workspace` or an `exchange` URI in `cluster`"
            )
        self._follower: Follower | None = None

    def folder(self, fingerprint: str, output: Path) -> Path:
        """Where the job's work folder is."""
        return self.root / "training-jobs" / fingerprint

    def hand_over(self, job: TrainingJob) -> str:
        """See `Place`: what lies on the volume already is used where it is."""
        base = self._there(Path(job.base_model), f"bases/{job.base_digest}")
        dataset = self._there(Path(job.dataset), f"datasets/{job.dataset_digest}")
        path = Path(job.work) / "job.json"
        job.model_copy(update={"base_model": str(base), "dataset": str(dataset)}).write(path)
        return str(path)

    def clear(self, job: TrainingJob) -> None:
        """See `Place`."""
        work = Path(job.work)
        shutil.rmtree(work / "failures", ignore_errors=True)
        for name in ("result.json", "progress.jsonl"):
            (work / name).unlink(missing_ok=True)
        self._follower = None

    def ended(self, job: TrainingJob) -> bool:
        """See `Place`."""
        return (Path(job.work) / "result.json").is_file()

    def result(self, job: TrainingJob) -> TrainingResult | None:
        """See `Place`."""
        return result_of(job)

    def failures(self, job: TrainingJob) -> list[RankFailure]:
        """See `Place`."""
        return [RankFailure.read(path) for path in sorted((Path(job.work) / "failures").glob("rank-*.json"))]

    def progress(self, job: TrainingJob) -> list[dict[str, Any]]:
        """See `Place`."""
        if self._follower is None:
            self._follower = Follower(Path(job.work) / "progress.jsonl")
        return self._follower.new_lines()

    def keep(self, job: TrainingJob) -> None:
        """See `Place`: it lies on the volume already."""

    def kept(self, job: TrainingJob) -> str:
        """See `Place`."""
        return f"{job.work}/launch (claim {self.claim})"

    def _there(self, source: Path, name: str) -> Path:
        """Copy an input to the volume, once for each content, by a rename."""
        if source.resolve().is_relative_to(self.root.resolve()):
            return source
        target = self.root / "training-inputs" / name
        if not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            staged = target.with_name(f".{target.name}.{os.getpid()}")
            shutil.rmtree(staged, ignore_errors=True)
            shutil.copytree(source, staged)
            try:
                staged.rename(target)
            except OSError:  # another step was faster with the same content
                shutil.rmtree(staged)
                if not target.is_dir():
                    raise
        return target


class ObjectStore:
    """An object store; results come to a folder next to the output."""

    def __init__(self, settings: TrainingCluster):
        """Open the exchange.

        Raises:
            ValueError: The URI cannot be opened.
        """
        self._store = exchange.ObjectFolder(settings.exchange)
        self._follower: Follower | None = None

    def folder(self, fingerprint: str, output: Path) -> Path:
        """Where result and model come to."""
        return output.parent / ".training-jobs" / fingerprint

    def hand_over(self, job: TrainingJob) -> str:
        """See `Place`."""
        base = exchange.put_input(self._store, job.base_model, f"bases/{job.base_digest}")
        dataset = exchange.put_input(self._store, job.dataset, f"datasets/{job.dataset_digest}")
        there = job.model_copy(update={"base_model": base, "dataset": dataset, "work": self._uri(job)})
        self._jobs(job).write("job.json", there.to_json().encode())
        return f"{self._uri(job)}/job.json"

    def clear(self, job: TrainingJob) -> None:
        """See `Place`."""
        for name in ("result.json", "progress.jsonl", "failures"):
            self._jobs(job).remove(name)
        shutil.rmtree(job.work, ignore_errors=True)
        self._follower = None

    def ended(self, job: TrainingJob) -> bool:
        """See `Place`."""
        return self._jobs(job).has("result.json")

    def result(self, job: TrainingJob) -> TrainingResult | None:
        """See `Place`."""
        found = result_of(job)
        if found is not None or not self.ended(job):
            return found
        work = Path(job.work)
        work.mkdir(parents=True, exist_ok=True)
        content = self._jobs(job).read("result.json")
        if content is None:
            return None
        self._jobs(job).download("export", work / "export")
        TrainingResult.model_validate_json(content).write(work / "result.json")
        return result_of(job)

    def failures(self, job: TrainingJob) -> list[RankFailure]:
        """See `Place`."""
        store = self._jobs(job)
        contents = [store.read(f"failures/{name}") for name in store.names("failures") if name.startswith("rank-")]
        return [RankFailure.model_validate_json(content) for content in contents if content is not None]

    def progress(self, job: TrainingJob) -> list[dict[str, Any]]:
        """See `Place`."""
        content = self._jobs(job).read("progress.jsonl")
        if content is None:
            return []
        local = Path(job.work) / "progress.jsonl"
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes(content)
        if self._follower is None:
            self._follower = Follower(local)
        return self._follower.new_lines()

    def keep(self, job: TrainingJob) -> None:
        """See `Place`."""
        self._jobs(job).upload(Path(job.work) / "launch", "launch")

    def kept(self, job: TrainingJob) -> str:
        """See `Place`."""
        return f"{self._uri(job)}/launch"

    def _uri(self, job: TrainingJob) -> str:
        return f"{self._store.uri}/jobs/{Path(job.work).name}"

    def _jobs(self, job: TrainingJob) -> exchange.ObjectFolder:
        return exchange.ObjectFolder(self._uri(job))


def place_of(settings: TrainingCluster) -> SharedVolume | ObjectStore:
    """Open the place that the settings name."""
    return ObjectStore(settings) if settings.exchange else SharedVolume(settings)


def remove_checkpoints(job: TrainingJob) -> None:
    """Remove what only an unfinished job needs from a finished one's folder."""
    for folder in Path(job.work).glob("checkpoint-*"):
        shutil.rmtree(folder, ignore_errors=True)
    (Path(job.work) / "tokens.arrow").unlink(missing_ok=True)
