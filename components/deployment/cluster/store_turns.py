"""Real users' turns, from the feedback store: what intake wrote since the share was set, as the judge wants it.

The gateway gave each request to an arm, and the event says to which: `attributes.arm` ("production" or "candidate"), or
a model version that only one arm has (the model's digest, its address, the predictor's or the revision's name). What
nobody can attribute is counted, never guessed.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import pyarrow.compute as pc

from flywheel.components.contracts.feedback import SignalKind
from flywheel.components.deployment.canary.turn import Arm, Turn
from flywheel.components.deployment.cluster.arms import ArmNames
from flywheel.components.evaluation.scores.scorers import leaked
from flywheel.components.store import delta_table, observed

_IMPLICIT = ("regenerate", "rephrase", "abandon", "copy", "click")
_PLACEHOLDER = "["  # scrubbed personal data stands as [KIND_1]


@dataclass(frozen=True)
class Seen:
    """What a source saw between two moments.

    Attributes:
        turns: In order of time; `asked_at` in whole seconds since the first moment.
        unattributed: Turns of which nobody can tell the arm; not among `turns`.
        without_latency: Answered turns that say no latency; among `turns` with 0.
    """

    turns: list[Turn]
    unattributed: int = 0
    without_latency: int = 0


class TurnSource(Protocol):
    """Where turns come from."""

    def read(self, names: ArmNames, since: datetime, until: datetime, share: float) -> Seen:
        """Read the turns of a window.

        Args:
            names: How events name the arms.
            since: First moment (inclusive).
            until: Last moment (exclusive).
            share: Share of the requests on the candidate in this window.
        """
        ...


class StoreTurns:
    """Turns from the tables `interactions` and `feedback`.

    Args:
        store: URI of the feedback store.
        service: Events that name another service (`attributes.service`) are left out.
        digests: Digest of (production, candidate), to check answers that name a digest.
    """

    def __init__(self, store: str, service: str, digests: tuple[str, str]) -> None:
        self._store, self._service, self._digests = store, service, digests

    def read(self, names: ArmNames, since: datetime, until: datetime, share: float) -> Seen:
        """Read a window; see `TurnSource.read`.

        Raises:
            StoreError: The store cannot be read.
        """
        window = (pc.field("timestamp") >= since) & (pc.field("timestamp") < until)
        columns = ["interaction_id", "subject", "timestamp", "model_version", "messages", "response", "attributes"]
        rows = observed.read(delta_table.latest(self._store, "interactions"), columns, window)
        events = sorted(rows.to_pylist(), key=lambda row: (row["timestamp"], row["interaction_id"]))
        signals = self._signals([event["interaction_id"] for event in events])
        turns, unattributed, without = list[Turn](), 0, 0
        numbers: dict[str, int] = {}
        for event in events:
            attributes = _object(event["attributes"])
            if attributes.get("service", self._service) != self._service:
                continue
            arm = names.arm_of(event["model_version"], attributes.get("arm"))
            if arm is None:
                unattributed += 1
                continue
            number = numbers[event["subject"]] = numbers.get(event["subject"], -1) + 1
            turn = self._turn(event, arm, number, share, since, signals.get(event["interaction_id"], []))
            without += turn.latency_ms == 0 and not turn.error
            turns.append(turn)
        return Seen(turns, unattributed, without)

    def _signals(self, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        if ids:
            columns = ["interaction_id", "kind", "name", "value", "text"]
            there = pc.field("interaction_id").isin(ids) & observed.REPORTED
            for row in observed.read(delta_table.latest(self._store, "feedback"), columns, there).to_pylist():
                found.setdefault(row["interaction_id"], []).append(row)
        return found

    def _turn(
        self,
        event: dict[str, Any],
        arm: Arm,
        number: int,
        share: float,
        since: datetime,
        signals: Iterable[dict[str, Any]],
    ) -> Turn:
        messages = [str(message.get("content", "")) for message in json.loads(event["messages"])]
        expected, version = self._digests[arm == "candidate"], event["model_version"]
        return Turn.model_validate(
            {
                "subject": event["subject"],
                "number": number,
                "arm": arm,
                "share": share,
                "asked_at": int((event["timestamp"] - since).total_seconds()),
                "status": 200,
                "latency_ms": 0.0,
                "digest": version if _is_digest(version) else expected,
                "response": event["response"],
                "safety": _leaks(event["response"], messages),
                "time": event["timestamp"].isoformat(),
                **_said(signals),
            }
        )


def _said(signals: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Turn feedback rows into a turn's fields; of several ratings the worst counts."""
    said: dict[str, Any] = {}
    implicit = set()
    for row in signals:
        kind, name, value = row["kind"], row["name"], row["value"]
        if kind == SignalKind.RATING and value is not None:
            said["rating"] = min(int(value), said.get("rating", 1))
        elif kind == SignalKind.CORRECTION:
            said["correction"] = row["text"] or ""
        elif kind == SignalKind.COMMENT:
            said["comment"] = row["text"] or ""
        elif kind == SignalKind.IMPLICIT and name in _IMPLICIT:
            implicit.add(name)
        elif kind == SignalKind.AUTOMATED and name == "latency_ms" and value is not None:
            said["latency_ms"] = max(float(value), 0.01)
        elif kind == SignalKind.AUTOMATED and name == "tokens" and value is not None:
            said["tokens"] = int(value)
        elif kind == SignalKind.AUTOMATED and name == "error":
            said["status"] = _status(row["text"] or "")
    return said | {"implicit": tuple(name for name in _IMPLICIT if name in implicit)}


def _status(text: str) -> int:
    """Read the HTTP status of an error signal; one that names none is the server's fault."""
    numbers = [int(word) for word in text.replace(":", " ").split() if word.isdigit() and len(word) == 3]
    return next((number for number in numbers if 400 <= number <= 599), 500)


def _leaks(response: str, messages: list[str]) -> bool:
    """Whether an answer holds personal data that the question did not; in the store it is scrubbed to placeholders."""
    known = " ".join(messages)
    kinds = {part.partition("]")[0].rpartition("_")[0] for part in response.split(_PLACEHOLDER)[1:] if "]" in part}
    scrubbed = any(kind.isupper() and f"[{kind}_" not in known for kind in kinds if kind)
    return scrubbed or bool(leaked(response, messages))


def _is_digest(version: str) -> bool:
    return len(version) == 64 and all(letter in "0123456789abcdef" for letter in version)


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}
