"""The users of two live versions, from the feedback store or from a log file, as turns in order of arrival."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from flywheel.components.contracts.feedback import FeedbackRecord, SignalKind
from flywheel.components.store import delta_table, observed

_INTERACTIONS = ["interaction_id", "subject", "timestamp", "model_version", "response"]
_FEEDBACK = ["interaction_id", "timestamp", "kind", "name", "value"]


@dataclass(frozen=True)
class Signal:
    """One word or sign about a turn; `name` as in the feedback table (rating, rephrase, latency_ms, ...)."""

    name: str
    value: float | None
    at: datetime


@dataclass
class LiveTurn:
    """One answered question of a live version."""

    interaction: str
    subject: str
    version: str
    at: datetime
    length: int  # characters of the answer
    signals: list[Signal] = field(default_factory=list)


@dataclass(frozen=True)
class LiveTraffic:
    """Turns in order of arrival.

    Attributes:
        turns: The turns.
        unordered: Where the input runs backwards in time, in words; nothing may be concluded from such a log.
        orphans: Signals about turns that are not here.
    """

    turns: list[LiveTurn]
    unordered: tuple[str, ...] = ()
    orphans: int = 0

    def versions(self) -> dict[str, int]:
        """Users by version, the largest first."""
        users: dict[str, set[str]] = {}
        for turn in self.turns:
            users.setdefault(turn.version, set()).add(turn.subject)
        return dict(sorted(((name, len(who)) for name, who in users.items()), key=lambda item: (-item[1], item[0])))


def read(store: str, log: str, since: str, until: str, simulated: bool) -> LiveTraffic:
    """Read the traffic.

    Args:
        store: URI of the feedback store; read when no log is given.
        log: JSON lines of `flywheel.feedback/v1` in order of arrival; "": the store.
        since: ISO 8601 time; earlier turns are left out. "": from the first on.
        until: ISO 8601 time; turns and signals from then on are left out. "": to the last.
        simulated: Whether the reactions of simulated users count (for trying it out).

    Returns:
        The turns with their signals.

    Raises:
        ValueError: A time or a line cannot be read; the message names it.
        StoreError: The store cannot be read.
    """
    begin, end = _time(since, "since"), _time(until, "until")
    if begin and end and begin >= end:
        raise ValueError(f"since ({since}) must come before until ({until})")
    turns, signals, unordered = _from_log(log) if log else _from_store(store, simulated)

    def inside(at: datetime) -> bool:
        return (begin is None or at >= begin) and (end is None or at < end)

    kept = {turn.interaction: turn for turn in turns if inside(turn.at)}
    known = {turn.interaction for turn in turns}
    early = orphans = 0
    for interaction, signal in signals:
        if interaction not in known:
            orphans += 1
        elif (turn := kept.get(interaction)) is not None and (end is None or signal.at < end):
            early += signal.at < turn.at
            turn.signals.append(signal)
    if early > 0.01 * max(len(signals), 1):
        unordered = (*unordered, f"{early} of {len(signals)} signals are older than the answers they are about")
    return LiveTraffic(sorted(kept.values(), key=lambda turn: (turn.at, turn.interaction)), unordered, orphans)


def _from_store(store: str, simulated: bool) -> tuple[list[LiveTurn], list[tuple[str, Signal]], tuple[str, ...]]:
    if not delta_table.exists(store, "interactions"):
        return [], [], ()
    table = delta_table.read if simulated else observed.read
    turns = [
        LiveTurn(row["interaction_id"], row["subject"], row["model_version"], row["timestamp"], len(row["response"]))
        for row in table(delta_table.latest(store, "interactions"), _INTERACTIONS).to_pylist()
    ]
    signals: list[tuple[str, Signal]] = []
    if delta_table.exists(store, "feedback"):
        rows = table(delta_table.latest(store, "feedback"), _FEEDBACK, observed.REPORTED).to_pylist()
        signals = [
            (row["interaction_id"], Signal(row["name"], row["value"], row["timestamp"]))
            for row in rows
            if row["kind"] != SignalKind.REVIEW.value
        ]
    return turns, signals, ()


def _from_log(path: str) -> tuple[list[LiveTurn], list[tuple[str, Signal]], tuple[str, ...]]:
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"no log at {path}: give JSON lines of flywheel.feedback/v1, or leave `log` empty")
    turns: list[LiveTurn] = []
    signals: list[tuple[str, Signal]] = []
    unordered: list[str] = []
    before: datetime | None = None
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = FeedbackRecord.model_validate_json(line)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: no feedback record: {error}") from error
            at = record.timestamp if record.timestamp.tzinfo else record.timestamp.replace(tzinfo=UTC)
            if before is not None and at < before and len(unordered) < 3:
                unordered.append(f"line {number} ({at.isoformat()}) is older than the line before it")
            before = at
            interaction = record.interaction or f"line {number}"
            if record.response is not None:
                if not record.user or not record.model_version:
                    raise ValueError(f"{path}, line {number}: a comparison needs `user` and `model_version`")
                turns.append(LiveTurn(interaction, record.user, record.model_version, at, len(record.response)))
            signals += [(interaction, one) for one in _said(record, at)]
    return turns, signals, tuple(unordered)


def _said(record: FeedbackRecord, at: datetime) -> Iterable[Signal]:
    said = record.signals
    if said.rating is not None:
        yield Signal("rating", float(said.rating), at)
    if said.correction is not None:
        yield Signal("correction", None, at)
    if said.error is not None:
        yield Signal("error", 1.0, at)
    for name, value in (("latency_ms", said.latency_ms), ("tokens", said.tokens)):
        if value is not None:
            yield Signal(name, float(value), at)
    for name in said.implicit:
        yield Signal(name, 1.0, at)


def _time(text: str, name: str) -> datetime | None:
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{name} must be an ISO 8601 time such as 2026-11-01T00:00:00Z, got {text!r}") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def common_start(turns: Sequence[LiveTurn], versions: tuple[str, str]) -> datetime | None:
    """When both versions were live for the first time: before that, users had no choice. None: one never was."""
    firsts = [min((turn.at for turn in turns if turn.version == version), default=None) for version in versions]
    return None if firsts[0] is None or firsts[1] is None else max(firsts[0], firsts[1])
