"""The store's six tables: their columns, and the column whose value identifies a row.

Ids are derived from content by whoever makes the row (`row_id`), so writing the same thing twice writes it once.
"""

import hashlib

import orjson
import pyarrow as pa

from flywheel.components.contracts.tables import TableName

_TIMESTAMP = pa.timestamp("us", tz="UTC")


def _text(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.string(), nullable=False) for name in names]


_TIME = pa.field("timestamp", _TIMESTAMP, nullable=False)

SCHEMAS: dict[TableName, pa.Schema] = {
    "interactions": pa.schema(
        [
            *_text("interaction_id", "conversation_id", "subject"),
            _TIME,
            *_text("model_version", "messages", "prompt", "response", "language"),
            pa.field("consent", pa.bool_(), nullable=False),
            *_text("source", "run_id", "attributes"),
        ]
    ),
    "feedback": pa.schema(
        [
            *_text("feedback_id", "interaction_id", "subject"),
            _TIME,
            *_text("kind", "annotator", "name"),
            pa.field("value", pa.float64()),
            pa.field("text", pa.string()),
            *_text("source", "run_id", "attributes"),
        ]
    ),
    "candidates": pa.schema(
        [
            *_text("candidate_id", "run_id", "interaction_id", "subject"),
            _TIME,
            *_text("prompt", "messages", "response", "correction", "category"),
            pa.field("confidence", pa.float64(), nullable=False),
            *_text("route", "reason", "group_id", "cluster_id", "cluster_name"),
        ]
    ),
    "reviews": pa.schema(
        [
            *_text("review_id", "candidate_id", "reviewer"),
            _TIME,
            *_text("category", "verdict", "note"),
            pa.field("correction", pa.string()),  # what the reviewer made of it; null: left as it was
            pa.field("source", pa.string()),  # queue that it came from
        ]
    ),
    "quarantine": pa.schema(
        [
            *_text("quarantine_id", "run_id", "source"),
            pa.field("line", pa.int64(), nullable=False),
            *_text("reason", "detail", "row"),
        ]
    ),
    "lineage": pa.schema(
        [*_text("lineage_id", "run_id", "step"), pa.field("finished_at", _TIMESTAMP, nullable=False), *_text("record")]
    ),
}

ID_COLUMN: dict[TableName, str] = {
    "interactions": "interaction_id",
    "feedback": "feedback_id",
    "candidates": "candidate_id",
    "reviews": "review_id",
    "quarantine": "quarantine_id",
    "lineage": "lineage_id",
}


def row_id(*parts: str | int | float | bool | None) -> str:
    """Derive an id from content: 32 hex digits of BLAKE2b over the parts' JSON, so that no two lists of parts collide.

    Args:
        parts: What makes the row the row it is, in a fixed order.

    Returns:
        32 lower-case hex digits (128 bits: a collision among 10^12 rows has probability below 10^-14).
    """
    return hashlib.blake2b(orjson.dumps(parts), digest_size=16).hexdigest()
