"""Handing a job over through an object store: the launcher puts inputs there, the pod brings them to its disk and back.

Layout below the URI: `bases/<digest>`, `datasets/<digest>` (whole once `complete.json` lies in them) and
`jobs/<fingerprint>` with the job file and everything the job leaves. Files are written before the one that says that
they are whole.
"""

import shutil
import threading
from pathlib import Path
from typing import Any

from flywheel.components.training import checkpoints
from flywheel.components.training.job import TrainingJob

COMPLETE = "complete.json"
_EVERY = 5.0  # seconds between two looks at what the job has written
_LEFT = ("logs", "failures", "export")


class ObjectFolder:
    """A folder of an object store, or of a file system under file://."""

    def __init__(self, uri: str):
        """Open it; credentials come from the store's own environment variables.

        Args:
            uri: s3://, gs://, abfs:// or file:// URI.

        Raises:
            ValueError: The URI cannot be opened.
        """
        from pyarrow import fs
        from pyarrow.lib import ArrowInvalid

        self.uri = uri.rstrip("/")
        try:
            self._files, self._root = fs.FileSystem.from_uri(self.uri)
        except (ArrowInvalid, OSError) as error:
            raise ValueError(
                f"exchange {uri}: cannot be opened ({error}); give an s3://, gs:// or abfs:// URI"
            ) from error

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        from pyarrow import fs

        return self._files.get_file_info(f"{self._root}/{name}").type == fs.FileType.File

    def read(self, name: str) -> bytes | None:
        """Read a file; None when there is none."""
        if not self.has(name):
            return None
        with self._files.open_input_stream(f"{self._root}/{name}") as stream:
            return stream.read()

    def write(self, name: str, content: bytes) -> None:
        """Write a file; in object stores readers see the old one or the whole new one."""
        path = f"{self._root}/{name}"
        self._files.create_dir(path.rpartition("/")[0], recursive=True)
        with self._files.open_output_stream(path) as stream:
            stream.write(content)

    def names(self, prefix: str) -> list[str]:
        """List the names directly below a folder; empty when there is no such folder."""
        from pyarrow import fs

        selector = fs.FileSelector(f"{self._root}/{prefix}", allow_not_found=True)
        return sorted(info.base_name for info in self._files.get_file_info(selector))

    def upload(self, source: Path, name: str) -> None:
        """Copy a folder or a file into the store."""
        from pyarrow import fs

        target = f"{self._root}/{name}"
        if source.is_file():
            self.write(name, source.read_bytes())
            return
        self._files.create_dir(target, recursive=True)
        fs.copy_files(str(source), target, fs.LocalFileSystem(), self._files)

    def download(self, name: str, target: Path) -> None:
        """Copy a folder of the store to a local one, which is replaced."""
        from pyarrow import fs

        staged = target.with_name(f".{target.name}.part")
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        fs.copy_files(f"{self._root}/{name}", str(staged), self._files, fs.LocalFileSystem())
        shutil.rmtree(target, ignore_errors=True)
        staged.rename(target)

    def remove(self, name: str) -> None:
        """Remove a folder or file, if it is there."""
        from pyarrow import fs

        path = f"{self._root}/{name}"
        kind = self._files.get_file_info(path).type
        if kind == fs.FileType.File:
            self._files.delete_file(path)
        elif kind == fs.FileType.Directory:
            self._files.delete_dir(path)


def put_input(store: ObjectFolder, source: str, name: str) -> str:
    """Bring a base model or dataset into the store, once for each content.

    Returns:
        Its URI.
    """
    if not store.has(f"{name}/{COMPLETE}"):
        store.upload(Path(source), name)
        store.write(f"{name}/{COMPLETE}", b"{}\n")
    return f"{store.uri}/{name}"


class Mirror:
    """The pod's side: a local work folder that is carried to the store while the job runs, and when it ends."""

    def __init__(self, job_uri: str, scratch: Path):
        """Fetch the job and its inputs.

        Args:
            job_uri: URI of the job file.
            scratch: Folder on the pod's own disk.

        Raises:
            FileNotFoundError: There is no such job.
        """
        self._store = ObjectFolder(job_uri.rpartition("/")[0])
        content = self._store.read(job_uri.rpartition("/")[2])
        if content is None:
            raise FileNotFoundError(f"job file {job_uri}: no such object")
        job = TrainingJob.model_validate_json(content)
        self.work = scratch / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.job_file = scratch / "job.json"
        places = {}
        for what in ("base_model", "dataset"):
            parent, _, name = str(getattr(job, what)).rpartition("/")
            ObjectFolder(parent).download(name, scratch / what)
            places[what] = str(scratch / what)
        for name in self._store.names("."):
            if self._store.has(f"{name}/{checkpoints.MARKER}"):
                self._store.download(name, self.work / name)
        job.model_copy(update={**places, "work": str(self.work)}).write(self.job_file)
        self._carried: set[str] = {path.name for path in self.work.glob(f"{checkpoints.PREFIX}*")}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._problem: Exception | None = None

    def __enter__(self) -> "Mirror":
        """Start to carry progress and whole checkpoints."""
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        """Carry what the job left; its result last, since it says that the rest is whole."""
        self._end.set()
        self._thread.join()
        self._look()
        for name in _LEFT:
            if (self.work / name).is_dir():
                self._store.remove(name)
                self._store.upload(self.work / name, name)
        if (self.work / "result.json").is_file():
            self._store.upload(self.work / "result.json", "result.json")

    def _carry(self) -> None:
        while not self._end.wait(_EVERY):
            try:
                self._look()
            except OSError as error:  # the store may be away for a while; the next look carries it all
                if str(error) != str(self._problem):
                    print(f"exchange: {error}; trying again", flush=True)
                self._problem = error

    def _look(self) -> None:
        if (self.work / "progress.jsonl").is_file():
            self._store.upload(self.work / "progress.jsonl", "progress.jsonl")
        whole = [path for path in self.work.glob(f"{checkpoints.PREFIX}*") if (path / checkpoints.MARKER).is_file()]
        for path in sorted(whole, key=checkpoints.step_of):
            if path.name not in self._carried:
                self._upload_checkpoint(path)

    def _upload_checkpoint(self, path: Path) -> None:
        try:
            for file in sorted(path.rglob("*"), key=lambda file: file.name == checkpoints.MARKER):  # the marker last
                if file.is_file():
                    self._store.upload(file, f"{path.name}/{file.relative_to(path)}")
        except FileNotFoundError:
            return  # the job has just removed it: there is a newer one
        self._carried.add(path.name)
        for name in self._store.names("."):
            old = Path(name)
            if 0 <= checkpoints.step_of(old) < checkpoints.step_of(path) and not (self.work / name).is_dir():
                self._store.remove(name)
