"""The clusters that are known by id: what one run leaves for the next.

A roster travels in the step record of `cluster_feedback`, so it is as durable as the store's lineage. Centroids are
kept in the encoder's space as 8-bit integers: the cosine of two of them is off by less than 0.001.
"""

import base64
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow.compute as pc

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.curation.encoders import Encoder
from flywheel.components.store import delta_table

STEP = "cluster_feedback"
KEPT = 8  # runs that a cluster which is gone is remembered for
_PROBE = "Where is my order? The battery of the new phone lasts 12 hours and it costs 99 euros."
_SAME = 0.99  # cosine of the probe's vectors: less means another encoder, whatever it is called


@dataclass(frozen=True)
class Member:
    """A cluster that has an id.

    Attributes:
        id: Never given to another cluster of the same store.
        name: Its name when it was seen last.
        centroid: Mean vector, float32 (dimensions,).
        absent: Runs since it was seen last; 0 for a cluster of the last run.
        count: Cases when it was seen last.
        share: Share of all cases of that run.
    """

    id: str
    name: str
    centroid: np.ndarray
    absent: int = 0
    count: int = 0
    share: float = 0.0


@dataclass(frozen=True)
class Roster:
    """Clusters by id, and the encoder that their centroids belong to.

    Attributes:
        run_id: Run that left it.
        encoder: Name of the encoder.
        probe: Vector of a fixed text, which tells whether an encoder is the same one.
        mean: Mean vector of the run's texts.
        members: Clusters.
        given: Number of ids given so far.
    """

    run_id: str
    encoder: str
    probe: np.ndarray
    mean: np.ndarray
    members: tuple[Member, ...] = ()
    given: int = 0

    def speaks(self, encoder: Encoder) -> bool:
        """Whether this encoder made the centroids; those of another one must never be compared."""
        probe = probe_of(encoder)
        return self.encoder == encoder.name and len(self.probe) == len(probe) and float(self.probe @ probe) >= _SAME

    def live(self) -> tuple[Member, ...]:
        """Clusters of the run that left the roster."""
        return tuple(member for member in self.members if member.absent == 0)

    def aged(self, gone: set[str]) -> tuple[Member, ...]:
        """Clusters that the next run did not find, for so long as they are remembered."""
        older = (replace(member, absent=member.absent + 1) for member in self.members if member.id in gone)
        return tuple(member for member in older if member.absent <= KEPT)

    def to_json(self) -> dict[str, Any]:
        """JSON values for a step record."""
        members = [
            {
                "id": member.id,
                "name": member.name,
                "centroid": _pack(member.centroid),
                "absent": member.absent,
                "count": member.count,
                "share": member.share,
            }
            for member in self.members
        ]
        return {
            "run_id": self.run_id,
            "encoder": self.encoder,
            "probe": _pack(self.probe),
            "mean": _pack(self.mean),
            "given": self.given,
            "members": members,
        }

    @staticmethod
    def from_json(values: dict[str, Any]) -> "Roster":
        """Read what `to_json` made.

        Raises:
            ValueError: A value is missing or no vector.
        """
        try:
            members = tuple(
                Member(**{**member, "centroid": _unpack(member["centroid"])}) for member in values["members"]
            )
            return Roster(
                values["run_id"],
                values["encoder"],
                _unpack(values["probe"]),
                _unpack(values["mean"]),
                members,
                int(values["given"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the clusters of an earlier run cannot be read from its step record: {error}") from error


def probe_of(encoder: Encoder) -> np.ndarray:
    """Vector of the probe text, shape (dimensions,)."""
    return encoder.encode([_PROBE])[0]


def previous(store: str, run_id: str) -> dict[str, Roster]:
    """Rosters of the run before this one, by kind ("failures", "liked"); empty when there is none.

    The run before is the last one that had clustered when this run made its first record: a retry finds the same one,
    whatever other runs have done since.

    Args:
        store: URI of the feedback store.
        run_id: This run.
    """
    if not delta_table.exists(store, "lineage"):
        return {}
    rows = delta_table.read(
        delta_table.latest(store, "lineage"),
        columns=["run_id", "step", "finished_at", "record"],
        where=(pc.field("run_id") == run_id) | (pc.field("step") == STEP),
    ).to_pylist()
    started: datetime | None = min((row["finished_at"] for row in rows if row["run_id"] == run_id), default=None)
    before = [
        row
        for row in rows
        if row["step"] == STEP and row["run_id"] != run_id and (started is None or row["finished_at"] < started)
    ]
    for row in sorted(before, key=lambda row: (row["finished_at"], row["record"]), reverse=True):
        known = StepRecord.model_validate_json(row["record"]).details.get("rosters")
        if known:  # records of older versions have none
            return {kind: Roster.from_json(values) for kind, values in known.items()}
    return {}


def _pack(vector: np.ndarray) -> dict[str, Any]:
    scale = float(np.abs(vector).max(initial=0.0)) / 127 or 1.0
    levels = np.rint(vector / scale).astype(np.int8)
    return {"scale": scale, "int8": base64.b64encode(levels.tobytes()).decode()}


def _unpack(packed: dict[str, Any]) -> np.ndarray:
    levels = np.frombuffer(base64.b64decode(packed["int8"], validate=True), np.int8)
    return (levels * float(packed["scale"])).astype(np.float32)
