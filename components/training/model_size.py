"""How large a model is, read from its files without loading it."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ModelSize:
    """What decides the memory of training a decoder-only transformer."""

    parameters: int
    layers: int
    hidden: int  # width of the residual stream
    heads: int  # attention heads
    vocabulary: int


def model_size(folder: str | Path) -> ModelSize:
    """Count parameters from the headers of the safetensors files, and read the shape from `config.json`.

    Args:
        folder: Model folder in the Hugging Face layout.

    Returns:
        The size. Tied weights count once, as they are stored.

    Raises:
        ValueError: A weights file has no readable header, or the configuration lacks the shape.
    """
    path = Path(folder)
    parameters = sum(_parameters(file) for file in sorted(path.glob("*.safetensors")))
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    config = config.get("text_config", config)  # models with several modalities keep the language part there
    try:
        return ModelSize(
            parameters=parameters,
            layers=int(config["num_hidden_layers"]),
            hidden=int(config["hidden_size"]),
            heads=int(config["num_attention_heads"]),
            vocabulary=int(config["vocab_size"]),
        )
    except KeyError as error:
        raise ValueError(
            f"{path / 'config.json'} has no {error.args[0]}: the memory of training cannot be estimated; "
            "give zero_stage 0, 1, 2 or 3 instead of -1 (automatic)"
        ) from error


def _parameters(file: Path) -> int:
    """Sum the elements of all tensors; the header is JSON after its length in 8 bytes, little-endian."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header: dict[str, Any] = json.loads(stream.read(min(length, 100_000_000)))
            return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file} is not a safetensors file: its header cannot be read ({error})") from error
