"""A small world in a temporary store: candidates, pairs, replay data and golden items."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.dataset.assemble import Assembled, Outputs, assemble_dataset
from flywheel.components.store import delta_table, tables

RUN = "run-1"


def candidate(
    number: int,
    prompt: str,
    correction: str,
    response: str = "",
    group: str = "",
    subject: str = "",
    route: str = "accept",
    category: str = "factual",
) -> dict[str, Any]:
    return {
        "candidate_id": f"c{number:04d}",
        "run_id": RUN,
        "interaction_id": f"i{number}",
        "subject": subject or f"s{number}",
        "timestamp": datetime(2026, 11, 1, tzinfo=UTC),
        "prompt": prompt,
        "messages": json.dumps([{"role": "user", "content": prompt}]),
        "response": response or f"old answer {number}",
        "correction": correction,
        "category": category,
        "confidence": 0.97,
        "route": route,
        "reason": "" if route == "accept" else "low_confidence",
        "group_id": group or f"g{number:04d}",
        "cluster_id": "k1",
        "cluster_name": "prices",
    }


def golden_item(number: int, question: str, reference: str, suite: str = "untouched") -> dict[str, Any]:
    return {
        "item_id": f"golden-{number}",
        "suite": suite,
        "messages": [{"role": "user", "content": question}],
        "references": [reference],
    }


class World:
    """Writes inputs and assembles."""

    candidate = staticmethod(candidate)
    golden_item = staticmethod(golden_item)

    def __init__(self, folder: Path):
        self.folder = folder
        self.store = str(folder / "store")
        self.replay: list[dict[str, Any]] = []
        self.golden: list[dict[str, Any]] = []

    def write_candidates(self, rows: list[dict[str, Any]]) -> str:
        table = pa.Table.from_pylist(rows, schema=tables.SCHEMAS["candidates"])
        reference = delta_table.append(self.store, "candidates", table, batch=f"batch-{len(rows)}").reference
        path = self.folder / "candidates.json"
        CandidateSnapshot(candidates=reference, run_id=RUN).write(path)
        return str(path)

    def write_pairs(self, rows: list[dict[str, Any]]) -> str:
        path = self.folder / "pairs.parquet"
        pairs = [
            {
                "prompt": json.loads(row["messages"]),
                "chosen": row["correction"],
                "rejected": row["response"],
                "evidence": "correction",
                "candidate_id": row["candidate_id"],
                "group_id": row["group_id"],
                "weight": 1.0,
            }
            for row in rows
            if row["route"] == "accept"
        ]
        pq.write_table(pa.Table.from_pylist(pairs), path)
        return str(path)

    def lines(self, name: str, rows: list[Any]) -> str:
        if not rows:
            return ""
        path = self.folder / name
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return str(path)

    def outputs(self, name: str = "out") -> Outputs:
        out = self.folder / name
        return Outputs(*(str(out / part) for part in ("sft", "preferences", "evaluation", "manifest")))

    def assemble(self, rows: list[dict[str, Any]], name: str = "out", **settings: Any) -> Assembled:
        return assemble_dataset(
            self.write_candidates(rows),
            self.write_pairs(rows),
            self.lines("replay.jsonl", self.replay),
            self.lines("golden.jsonl", self.golden),
            self.outputs(name),
            RUN,
            **settings,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def facts() -> Callable[[int], list[dict[str, Any]]]:
    """n corrected facts, each asked in two ways by two users; the two askings are near-duplicates of each other."""

    def make(count: int) -> list[dict[str, Any]]:
        rows = []
        for fact in range(count):
            for way, words in enumerate(("What does the Zorb{} cost?", "Tell me the price of the Zorb{} now")):
                rows.append(
                    candidate(
                        2 * fact + way,
                        words.format(chr(97 + fact % 26) + str(fact)),
                        f"The Zorb{chr(97 + fact % 26)}{fact} costs {100 + fact} euros.",
                        response=f"The Zorb{chr(97 + fact % 26)}{fact} costs {50 + fact} euros.",
                        group=f"g{fact:03d}",
                    )
                )
        return rows

    return make
