"""Replies of a judge kept by content: a retried step does not ask, and does not pay, twice."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any


class ReplyCache:
    """A folder of replies.

    Args:
        folder: Where replies are kept; made when missing. Several processes may share it.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def get(self, *asked: Any) -> str | None:
        """Return the reply to something asked before; None when it was not, or its file is damaged."""
        path = self._path(asked)
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return kept["reply"] if isinstance(kept, dict) and isinstance(kept.get("reply"), str) else None

    def put(self, reply: str, *asked: Any) -> None:
        """Keep a reply; a reader sees the whole or nothing."""
        path = self._path(asked)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps({"reply": reply}, ensure_ascii=False), encoding="utf-8")
        temporary.replace(path)

    def _path(self, asked: tuple[Any, ...]) -> Path:
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        return self._folder / digest[:2] / f"{digest}.json"
