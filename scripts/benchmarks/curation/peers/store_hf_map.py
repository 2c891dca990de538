"""HF datasets: load the JSON lines, map every record through a pydantic model into a row, write Parquet."""

import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import datasets
from pydantic import BaseModel, Field

KEY = b"0123456789abcdef0123456789abcdef"
SIGNALS = ("rating", "correction", "latency_ms")
SCRUB: Any = None
if os.environ.get("BENCH_SCRUB") == "1":  # in this project's Python
    from flywheel.components.intake.privacy import scrub

    SCRUB = scrub.scrub_texts


class Message(BaseModel):
    """One message."""

    role: Literal["system", "user", "assistant", "tool", "developer"]
    content: str


class Signals(BaseModel):
    """What the user said."""

    rating: Literal[-1, 0, 1] | None = None
    correction: str | None = None
    latency_ms: float | None = Field(default=None, ge=0)


class Record(BaseModel):
    """One line of the log."""

    interaction: str = Field(min_length=1, max_length=512)
    conversation: str
    user: str
    timestamp: datetime
    model_version: str
    messages: list[Message]
    response: str
    signals: Signals
    language: str
    attributes: dict[str, Any]


def digest(purpose: bytes, value: str) -> str:
    """A keyed id."""
    return hashlib.blake2b(value.encode(), digest_size=16, key=KEY, person=purpose).hexdigest()


def row(given: dict[str, Any]) -> dict[str, Any]:
    """One record's row."""
    record = Record.model_validate(given)
    said = [[message.role, message.content] for message in record.messages]
    content = digest(b"content", json.dumps([said, record.response, record.model_version, record.user]))
    signals = {name: getattr(record.signals, name) for name in SIGNALS}
    return {
        "interaction_id": record.interaction,
        "conversation_id": record.conversation,
        "subject": digest(b"subject", record.user),
        "timestamp": record.timestamp,
        "model_version": record.model_version,
        "messages": json.dumps([{"role": role, "content": text} for role, text in said]),
        "prompt": said[-1][1],
        "response": record.response,
        "language": record.language,
        "attributes": json.dumps(record.attributes | {"content": content}),
        **signals,
        "feedback_ids": [
            digest(b"feedback", json.dumps([record.interaction, name, value]))
            for name, value in signals.items()
            if value is not None
        ],
    }


def rows(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The rows of a batch."""
    given = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
    if SCRUB is not None:
        texts, groups = [], []
        for number, one in enumerate(given):
            mine = [message["content"] for message in one["messages"]]
            mine += [one["response"], one["signals"].get("correction") or "", one["model_version"], one["language"]]
            texts += mine
            groups += [number] * len(mine)
        clean = iter(SCRUB(texts, groups).texts)
        for one in given:
            one["messages"] = [message | {"content": next(clean)} for message in one["messages"]]
            one["response"], correction, _, _ = (next(clean) for _ in range(4))
            one["signals"] = one["signals"] | {"correction": correction or None}
    made = [row(one) for one in given]
    return {name: [one[name] for one in made] for name in made[0]}


def run(data: Path, out: Path) -> dict[str, Any]:
    """Load, map, write."""
    datasets.disable_progress_bars()
    path = str(data / "feedback.jsonl")
    loaded = datasets.load_dataset("json", data_files=path, split="train", cache_dir=str(out / "cache"))
    batched = os.environ["BENCH_BATCHED"] == "1"
    mapped = loaded.map(rows if batched else row, batched=batched, remove_columns=loaded.column_names)
    mapped.to_parquet(str(out / "rows.parquet"))
    return {"interactions": len(mapped), "signals": sum(map(len, mapped["feedback_ids"]))}
