"""Model folders: their identity, what they may hold, and how a finished one is put in its place.

No torch here: control steps compute digests too.
"""

import hashlib
import os
import shutil
from pathlib import Path

from flywheel.components.contracts.model import ModelManifest

MANIFEST = "model.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
_CONFIG_FILES = ("config.json", "generation_config.json")


def model_digest(folder: str | Path) -> str:
    """Identify a model by the bytes that decide its answers: weights, tokenizer and configuration.

    Args:
        folder: Model folder. `model.json` and anything else in it does not count.

    Returns:
        SHA-256 in hex over the lines `<name> NUL <sha256 of the file>`, sorted by name.

    Raises:
        FileNotFoundError: The folder is missing or holds no safetensors weights.
    """
    path = Path(folder)
    names = [*_CONFIG_FILES, *TOKENIZER_FILES]
    weights = list(path.glob("*.safetensors"))
    if not weights:
        raise FileNotFoundError(f"{path} holds no *.safetensors weights: it is not a model folder")
    total = hashlib.sha256()
    for file in sorted([*weights, *(path / name for name in names if (path / name).is_file())]):
        with file.open("rb") as stream:
            total.update(f"{file.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def copy_tokenizer(base: Path, target: Path) -> None:
    """Copy the base model's tokenizer files byte by byte: fine-tuning does not touch the tokenizer."""
    for name in TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, target / name)


def publish(export: Path, output: Path, manifest: ModelManifest) -> None:
    """Put a finished model in its place: readers see the old folder or the whole new one.

    Files are hard-linked where the file system can, so the copy costs no space.

    Args:
        export: The job's exported model.
        output: Folder to make; an older one is replaced.
        manifest: Written into it as `model.json`.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    staged = output.with_name(f".{output.name}.new-{os.getpid()}")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    for file in sorted(export.iterdir()):
        _link_or_copy(file, staged / file.name)
    manifest.write(staged / MANIFEST)
    retired = output.with_name(f".{output.name}.old-{os.getpid()}")
    if output.exists():
        output.replace(retired)
    staged.replace(output)
    if retired.is_dir():
        shutil.rmtree(retired)
    elif retired.exists():
        retired.unlink()


def published(output: Path, fingerprint: str) -> ModelManifest | None:
    """Read the manifest of a model that an earlier attempt of this very job put in place.

    Args:
        output: Model folder.
        fingerprint: The job's.

    Returns:
        The manifest, or None when there is no such model or its bytes are not what the manifest says.
    """
    if not (output / MANIFEST).is_file():
        return None
    manifest = ModelManifest.read(output / MANIFEST)
    if manifest.config.get("fingerprint") != fingerprint or model_digest(output) != manifest.digest:
        return None
    return manifest


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
