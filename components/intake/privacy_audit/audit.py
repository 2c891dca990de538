"""The audit: canaries into a sample of the user's rows, the real intake, then a search through all tables.

Recall per type comes with a one-sided 95 % Clopper-Pearson lower bound, so a type that in truth is found in a share r
of cases shows a bound above r in at most 5 % of audits. It is recall on these generators' formats, in the user's own
rows and positions; people write in more ways, so the bound is about the canaries, not about the world.
"""

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.intake import pseudonyms
from flywheel.components.intake.ingest import ingest
from flywheel.components.intake.privacy_audit import host_rows, locales
from flywheel.components.intake.privacy_audit.canary import TYPES, Canary
from flywheel.components.intake.privacy_audit.controls import Control, Controls
from flywheel.components.intake.privacy_audit.faker_canaries import FakerCanaries
from flywheel.components.intake.privacy_audit.injection import Planted, plant
from flywheel.components.intake.privacy_audit.leaks import leaked
from flywheel.components.intake.privacy_audit.own_canaries import OwnCanaries
from flywheel.components.intake.privacy_audit.stored_texts import StoredTexts, texts_of
from flywheel.components.statistics.binomial_bounds import lower_bound, upper_bound

STEP = "audit_privacy"
DEFAULT_CANARIES = 200  # per type
DEFAULT_ROWS = 400
CONFIDENCE = 0.95  # one-sided, of each bound
_CONTROLS = 60  # per kind
_MOST_LOST = 0.1  # of the canaries; beyond it they are put again, into rows that intake keeps whole
_PREFIX = "flywheel-privacy-audit."


@dataclass
class TypeCount:
    """Canaries (or controls) of one type.

    Attributes:
        counted: Those whose surroundings were found in the tables.
        replaced: Of these, those that cannot be read any more.
        lost: Those whose surroundings were found nowhere; they count neither way.
        leaking: Locales, or "any", of those that can be read.
    """

    counted: int = 0
    replaced: int = 0
    lost: int = 0
    leaking: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """Replaced of counted; 0 when nothing was counted."""
        return self.replaced / self.counted if self.counted else 0.0

    @property
    def low(self) -> float:
        """One-sided lower bound of the share."""
        return lower_bound(self.replaced, self.counted, CONFIDENCE) if self.counted else 0.0

    @property
    def high(self) -> float:
        """One-sided upper bound of the share."""
        return upper_bound(self.replaced, self.counted, CONFIDENCE) if self.counted else 1.0


@dataclass
class Audit:
    """What an audit found."""

    seed: int
    rows: int
    started_at: datetime
    types: dict[str, TypeCount] = field(default_factory=dict)
    places: dict[str, TypeCount] = field(default_factory=dict)
    controls: dict[str, TypeCount] = field(default_factory=dict)

    @property
    def over_scrubbed(self) -> TypeCount:
        """All controls together."""
        total = TypeCount()
        for one in self.controls.values():
            total.counted += one.counted
            total.replaced += one.replaced
            total.lost += one.lost
        return total

    @property
    def lost(self) -> int:
        """Canaries that came through nowhere."""
        return sum(one.lost for one in self.types.values())

    def record(self, run_id: str, outcome: str) -> StepRecord:
        """Make the step record.

        Args:
            run_id: Run that asked.
            outcome: What the gate says.
        """
        over = self.over_scrubbed
        metrics = {"rows_sampled": float(self.rows), "over_scrubbed": over.share, "over_scrubbed_upper": over.high}
        for kind, one in self.types.items():
            metrics |= {f"recall_{kind}": one.share, f"recall_lower_{kind}": one.low}
        return StepRecord(
            run_id=run_id,
            step=STEP,
            started_at=self.started_at,
            finished_at=datetime.now(UTC),
            outcome=outcome,
            metrics=metrics,
            details={"seed": self.seed, "lost": self.lost},
        )


def audit(
    logs: str,
    log_format: str = "auto",
    *,
    seed: int = 7,
    canaries: int = DEFAULT_CANARIES,
    rows: int = DEFAULT_ROWS,
    kinds: Sequence[str] = TYPES,
    names: Sequence[str] = locales.ALL,
) -> Audit:
    """Measure what intake leaves readable of personal data in rows such as these.

    Args:
        logs: What intake gets; a sample is read, nothing is changed.
        log_format: A name of `records.FORMATS`.
        seed: Of sample, canaries and places: the same seed gives the same audit.
        canaries: Canaries of each type.
        rows: Most rows to put them in.
        kinds: Types, of `canary.TYPES`.
        names: Locales (Faker's names).

    Returns:
        Counts by type, place and kind of control. The throw-away store is gone.

    Raises:
        NothingToAudit: The logs hold no row that could take a canary.
        IntakeError: The logs cannot be read.
        ValueError: An unknown type, or no canaries.
    """
    unknown = sorted(set(kinds) - set(TYPES))
    if unknown or canaries < 1:
        raise ValueError(f"unknown types {unknown}; use some of {', '.join(TYPES)}, and at least one canary of each")
    hosts = host_rows.sample(logs, log_format, rows, seed)
    items = _items(kinds, names, canaries, seed)
    result, through = _measured(hosts, items, log_format, seed, None)
    if through and result.lost > _MOST_LOST * canaries * len(result.types):
        again, _ = _measured(hosts, items, log_format, seed, through)
        if again.lost < result.lost:
            return again
    return result


def audit_if_any(logs: str, log_format: str = "auto", *, seed: int, canaries: int, rows: int) -> Audit:
    """Audit as `audit`; logs without a row that could take a canary give an audit of no rows instead of an error."""
    try:
        return audit(logs, log_format, seed=seed, canaries=canaries, rows=rows)
    except host_rows.NothingToAudit:
        return Audit(seed, 0, datetime.now(UTC))


def _measured(
    hosts: list[dict[str, Any]], items: list[Canary | Control], log_format: str, seed: int, into: list[int] | None
) -> tuple[Audit, list[int]]:
    """Put the items into rows (all, or some), run intake, count; and the rows through which nearly everything came."""
    result = Audit(seed, len(hosts), datetime.now(UTC))
    filled, planted = plant([json.loads(json.dumps(row)) for row in hosts], items, seed, into)
    with _throw_away() as folder:
        (folder / "logs").mkdir()
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in filled)
        (folder / "logs" / "sample.jsonl").write_text(text, encoding="utf-8")
        store = str(folder / "store")
        tabular = log_format in ("csv", "parquet")
        with pseudonyms.throw_away_key(f"privacy audit {seed}"):
            ingest(str(folder / "logs"), store, STEP, "auto" if tabular else log_format)
        stored = StoredTexts(texts_of(store))
        _count(result, planted, stored)
        lost: dict[int, list[bool]] = {}
        for one in planted:
            lost.setdefault(one.row, []).append(not stored.behind(one.marker))
    return result, sorted(row for row, gone in lost.items() if sum(gone) < _MOST_LOST * len(gone))


def _items(kinds: Sequence[str], names: Sequence[str], canaries: int, seed: int) -> list[Canary | Control]:
    items: list[Canary | Control] = []
    for maker in (FakerCanaries(tuple(names), seed), OwnCanaries(seed)):
        for kind in maker.kinds:
            if kind in kinds:
                items += maker.make(kind, canaries)
    controls = Controls(seed)
    for kind in controls.kinds:
        items += controls.make(kind, _CONTROLS)
    return items


def _count(result: Audit, planted: list[Planted], stored: StoredTexts) -> None:
    result.types = {kind: TypeCount() for kind in TYPES if any(one.item.kind == kind for one in planted)}
    elsewhere = stored.holding([one.item.value if isinstance(one.item, Canary) else "" for one in planted])
    for one, anywhere in zip(planted, elsewhere, strict=True):
        found = stored.behind(one.marker)
        item = one.item
        if isinstance(item, Control):
            count = result.controls.setdefault(item.kind, TypeCount())
            places = [count]
            gone = any(item.value not in text for text in found)
            where = "any"
        else:
            places = [result.types[item.kind]]
            if item.kind != "name_mid_sentence":
                places.append(result.places.setdefault(_place(one.place), TypeCount()))
            gone = not anywhere and not any(leaked(item, text, item.sentence.replace(item.value, "")) for text in found)
            where = item.locale or "any"
        for count in places:
            if not found:
                count.lost += 1
                continue
            count.counted += 1
            count.replaced += gone
            if not gone:
                count.leaking[where] += 1


def _place(name: str) -> str:
    return re.sub(r"\d+", "N", name)


@contextlib.contextmanager
def _throw_away() -> Iterator[Path]:
    """A folder that only this user can read; deleted whatever happens, also what killed audits left behind."""
    root = Path(tempfile.gettempdir())
    for left in root.glob(f"{_PREFIX}*"):
        owner = left.name.removeprefix(_PREFIX).partition(".")[0]
        if owner.isdigit() and not _alive(int(owner)) and left.stat().st_uid == os.getuid():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}.") as name:
        yield Path(name)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
