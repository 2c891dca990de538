"""Is a folder a causal language model that we are willing to load? Safetensors only: a pickle runs code when loaded."""

import json
from pathlib import Path

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")


class ModelFolderError(ValueError):
    """The folder is no model that can be loaded safely; the message lists everything that is wrong."""


def check_model_folder(path: str | Path) -> Path:
    """Check a model folder without loading the weights.

    Args:
        path: Folder in the Hugging Face layout.

    Returns:
        The folder.

    Raises:
        ModelFolderError: With every problem found.
    """
    problems = model_folder_problems(path)
    if problems:
        raise ModelFolderError(f"model folder {path} cannot be used:\n" + "\n".join(f"  - {line}" for line in problems))
    return Path(path)


def model_folder_problems(path: str | Path) -> list[str]:
    """Return what is wrong with a model folder, each with what to do; nothing wrong: an empty list.

    Args:
        path: Folder in the Hugging Face layout.
    """
    folder = Path(path)
    if not folder.exists():
        return ["there is no such folder; give the path of a model folder"]
    if not folder.is_dir():
        return ["it is a file; give the folder that holds config.json and *.safetensors"]
    files = sorted(one for one in folder.iterdir() if one.is_file())
    problems = []
    pickles = [one.name for one in files if one.suffix in PICKLES and one.name != "training_args.bin"]
    if pickles:
        problems.append(
            f"it holds pickles ({', '.join(pickles)}), which run code when loaded; convert the weights with "
            "save_pretrained(..., safe_serialization=True) and remove them"
        )
    weights = [one for one in files if one.suffix == ".safetensors"]
    if not weights:
        problems.append("it holds no *.safetensors; save the model with save_pretrained(..., safe_serialization=True)")
    problems += [f"{one.name}: {problem}" for one in weights if (problem := safetensors_problem(one))]
    problems += _index_problems(folder / "model.safetensors.index.json")
    problems += _config_problems(folder / "config.json")
    if not any((folder / name).is_file() for name in TOKENIZERS):
        problems.append("it holds no tokenizer (tokenizer.json or tokenizer.model); save it beside the model")
    return problems


def safetensors_problem(path: Path) -> str:
    """Check a safetensors file's header against its size; return what is wrong, or "".

    Layout: 8 bytes little-endian header length, a JSON header with the tensors' byte ranges, then the data
    (huggingface/safetensors, format specification).

    Args:
        path: The file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            return "is cut off or no safetensors file; copy or download it again"
        try:
            header = json.loads(file.read(length))
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        except (ValueError, LookupError, TypeError, AttributeError):
            return "has a broken header; copy or download it again"
    if not ends:
        return "holds no tensors"
    if 8 + length + max(ends) != size:
        return f"has {size} bytes where its header says {8 + length + max(ends)}; copy or download it again"
    return ""


def _index_problems(path: Path) -> list[str]:
    if not path.is_file():
        return []
    try:
        shards = sorted(set(json.loads(path.read_bytes())["weight_map"].values()))
        missing = [name for name in shards if not (path.parent / name).is_file()]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return [f"{path.name} cannot be read ({error}); save the model again"]
    return [f"it lacks the shards {', '.join(missing)}; copy them too"] if missing else []


def _config_problems(path: Path) -> list[str]:
    if not path.is_file():
        return ["it holds no config.json; save the model with save_pretrained"]
    try:
        config = json.loads(path.read_bytes())
    except ValueError as error:
        return [f"config.json is not JSON: {error}"]
    if not isinstance(config, dict) or not config.get("model_type"):
        return ["config.json names no model_type; save the model with save_pretrained"]
    if config.get("auto_map"):
        return ["config.json asks for code of its own (auto_map), which is never run; use a model type of transformers"]
    return []
