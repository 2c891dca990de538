"""Base of every contract: an immutable JSON document that names its schema and refuses unknown fields."""

import os
import tempfile
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """An immutable JSON document; NaN and infinity are refused because no decision may rest on them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    def to_json(self) -> str:
        """Render as indented JSON with a fixed field order, so that equal documents are equal bytes."""
        return self.model_dump_json(indent=2, by_alias=True) + "\n"

    def write(self, path: str | Path) -> None:
        """Write the document so that a reader sees the old file or the whole new one, never a part.

        Args:
            path: Target file; its folder is created.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(self.to_json())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read and validate a document.

        Raises:
            ValueError: The file is not a valid document of this schema; the message names the file.
        """
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except ValueError as error:
            raise ValueError(f"{path} is not a valid {cls.__name__} document: {error}") from error
