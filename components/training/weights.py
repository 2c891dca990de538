"""Model folders: their identity, what they may hold, and how a finished one is put in its place.

No torch here: control steps compute digests too.
"""

import hashlib
import json
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
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt", "*.joblib")


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


def refuse_unsafe(folder: str | Path) -> None:
    """Refuse a model folder that training could not load safely.

    Raises:
        FileNotFoundError: No such folder, or weights, configuration or tokenizer are missing from it.
        ValueError: It holds pickles, or its configuration is not JSON or wants code of its own to be run.
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"base model {path}: no such folder; give a folder with safetensors and a tokenizer")
    pickles = sorted(file.name for pattern in _PICKLES for file in path.glob(pattern))
    if pickles:
        raise ValueError(
            f"base model {path} holds pickles ({', '.join(pickles[:3])}), which can run code when they are loaded; "
            "convert the weights to safetensors and remove the pickles"
        )
    if not any(path.glob("*.safetensors")):
        raise FileNotFoundError(
            f"base model {path} has no *.safetensors weights; save it with model.save_pretrained(folder)"
        )
    if not (path / "config.json").is_file():
        raise FileNotFoundError(f"base model {path} has no config.json")
    if not any((path / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")):
        raise FileNotFoundError(f"base model {path} has no tokenizer; save it with tokenizer.save_pretrained(folder)")
    try:
        config = json.loads((path / "config.json").read_bytes())
    except ValueError as error:
        raise ValueError(f"base model {path}: config.json is not JSON: {error}") from error
    if not isinstance(config, dict) or "auto_map" in config:
        raise ValueError(f"base model {path} wants code of its own to be run (auto_map in config.json): refused")


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
