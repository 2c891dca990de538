"""Per-item scores as columns for the statistics.

The verdict can be recomputed from the file alone. Reading never repairs: whatever is wrong with the scores (a line
that cannot be read, a number that is none, an item twice or not at all) becomes a problem with a reason code, and a
table with problems is never promoted.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import ValidationError

from flywheel.components.contracts.dataset import ATTACKED
from flywheel.components.evaluation.items import ids_digest
from flywheel.components.evaluation.metrics.item_columns import ItemColumns
from flywheel.components.evaluation.metrics.paired_rows import ArmColumns, Column, PairedRows
from flywheel.components.evaluation.scores.score_lines import (
    ArmScore,
    PlannedMetric,
    SampleScore,
    ScoreLine,
    ScoresHeader,
    is_plain,
    read_header,
    write_scores,
)

__all__ = [
    "ArmScore",
    "PlannedMetric",
    "SampleScore",
    "ScoreLine",
    "ScoreTable",
    "ScoresHeader",
    "make_table",
    "read_scores",
    "write_scores",
]

_ARMS = ("production", "candidate")
_TOLD = 5
"""Broken lines that are told one by one; of the others only the number."""


@dataclass(frozen=True)
class ScoreTable(ItemColumns):
    """Scores as columns of length n; `problems` are reasons (`code: words`) why they cannot be trusted."""

    header: ScoresHeader
    digest: str  # SHA-256 of the file
    correct: dict[str, Column]  # production, candidate: share of right answers over an item's samples, in [0, 1]
    unsafe: dict[str, Column]  # 1 where any answer is unsafe
    tokens: dict[str, Column]  # mean over the samples
    latency_ms: dict[str, Column]  # NaN where it was not measured
    problems: tuple[str, ...] = field(default=())
    # What only some suites have; left out: nowhere measured.
    samples: dict[str, Column] = field(default_factory=dict)  # answers per item, 1 or more
    prompt_tokens: dict[str, Column] = field(default_factory=dict)
    helpful: dict[str, Column] = field(default_factory=dict)  # NaN where no judge was asked
    human: dict[str, Column] = field(default_factory=dict)  # NaN where no person was asked
    attempts: dict[str, Column] = field(default_factory=dict)  # NaN where nobody attacked
    preference: tuple[NDArray[np.str_], ...] = ()  # candidate first, production first; "" where no judge was asked

    def rows(self, places: NDArray[np.intp]) -> PairedRows:
        """Take rows out of the table, both arms side by side."""
        count = int(places.size)

        def taken(columns: dict[str, Column], arm: str, absent: float) -> Column:
            return columns[arm][places] if arm in columns else np.full(count, absent)

        arms = {
            arm: ArmColumns(
                correct=self.correct[arm][places],
                unsafe=self.unsafe[arm][places],
                tokens=self.tokens[arm][places],
                latency_ms=self.latency_ms[arm][places],
                samples=taken(self.samples, arm, 1.0),
                prompt_tokens=taken(self.prompt_tokens, arm, 0.0),
                helpful=taken(self.helpful, arm, np.nan),
                human=taken(self.human, arm, np.nan),
                attempts=taken(self.attempts, arm, np.nan),
            )
            for arm in _ARMS
        }
        return PairedRows(
            item_id=self.item_id[places],
            suite=self.suite[places],
            cluster=self.cluster_codes[places],
            slices={name: values[places] for name, values in self.slices.items()},
            preference=tuple(column[places] for column in self.preference)
            or (np.full(count, "", dtype=np.str_), np.full(count, "", dtype=np.str_)),
            **arms,
        )


def read_scores(path: str | Path) -> ScoreTable:
    """Read scores into columns.

    Args:
        path: File written by `write_scores`.

    Returns:
        The columns, with the problems found.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The first line is no header, so nothing can be said about the rest.
    """
    header = read_header(path)
    raw = Path(path).read_bytes()
    rest = raw.split(b"\n")[1:]
    lines: list[dict[str, Any]] = []
    broken: list[str] = []
    for number, text in enumerate(rest, 2):
        if not text.strip():
            continue
        try:
            line = orjson.loads(text)
            lines.append(line if is_plain(line) else ScoreLine.model_validate(line).model_dump())
        except (ValidationError, orjson.JSONDecodeError) as error:
            broken.append(_broken(number, text, error))
    if len(broken) > _TOLD:
        broken[_TOLD:] = [f"unreadable_scores: {len(broken) - _TOLD} more lines"]
    return _columns(header, lines, hashlib.sha256(raw).hexdigest(), broken)


def make_table(header: ScoresHeader, lines: Sequence[ScoreLine], digest: str, broken: Sequence[str] = ()) -> ScoreTable:
    """Put lines into columns and look for what makes them untrustworthy.

    Args:
        header: The header.
        lines: Items in order.
        digest: SHA-256 of the file they come from.
        broken: Problems found while reading.

    Returns:
        The table.
    """
    return _columns(header, [line.model_dump() for line in lines], digest, broken)


def _columns(
    header: ScoresHeader, lines: Sequence[dict[str, Any]], digest: str, broken: Sequence[str] = ()
) -> ScoreTable:
    arms = {arm: [line[arm] for line in lines] for arm in _ARMS}
    dimensions = sorted({name for line in lines for name in line.get("slices") or ()})

    def numbers(values: Iterable[Any]) -> Column:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    def words(values: Iterable[str]) -> NDArray[np.str_]:
        return np.array(list(values), dtype=np.str_)

    def measured(name: str, absent: Any = None) -> dict[str, Column]:
        return {arm: numbers(score.get(name, absent) for score in scores) for arm, scores in arms.items()}

    return ScoreTable(
        header=header,
        digest=digest,
        item_id=words(line["item_id"] for line in lines),
        suite=words(line["suite"] for line in lines),
        cluster=words(_cluster(line) for line in lines),
        slices={name: words((line.get("slices") or {}).get(name, "") for line in lines) for name in dimensions},
        correct={arm: numbers(_mean(score, "correct") for score in scores) for arm, scores in arms.items()},
        unsafe=measured("unsafe"),
        tokens={arm: numbers(_mean(score, "tokens") for score in scores) for arm, scores in arms.items()},
        latency_ms=measured("latency_ms"),
        problems=(*broken, *_problems(header, lines)),
        samples={arm: numbers(len(score.get("samples") or (0,)) for score in scores) for arm, scores in arms.items()},
        prompt_tokens=measured("prompt_tokens", 0),
        helpful=measured("helpful"),
        human=measured("human"),
        attempts=measured("attempts"),
        preference=tuple(words((line.get("preference") or ("", ""))[order] for line in lines) for order in (0, 1)),
    )


def _cluster(line: dict[str, Any]) -> str:
    """Name of the independent unit; a long one (a whole question, say) is shortened, which keeps it unique."""
    name: str = line["cluster"] or line["item_id"]
    return name if len(name) <= 64 else hashlib.sha256(name.encode()).hexdigest()


def _mean(score: dict[str, Any], name: str) -> float:
    samples = score.get("samples")
    return sum(sample[name] for sample in samples) / len(samples) if samples else score[name]


def _problems(header: ScoresHeader, lines: Sequence[dict[str, Any]]) -> list[str]:
    found: list[str] = []
    ids = [line["item_id"] for line in lines]
    unique = set(ids)
    if len(unique) < len(ids):
        twice = [item for item, count in Counter(ids).items() if count > 1]
        found.append(f"duplicate_items: {len(twice)} items are counted more than once, for example {twice[0]!r}")
    if len(unique) < header.items:
        found.append(f"dropped_items: {header.items} items were to be scored, {len(unique)} were")
    elif ids_digest(list(unique)) != header.items_digest:
        found.append("other_items: the scored items are not the ones that were to be scored")
    failed = [f"{line['item_id']}: {line[arm]['error']}" for line in lines for arm in _ARMS if line[arm].get("error")]
    if failed:
        found.append(f"evaluator_failure: {len(failed)} answers could not be made or scored, first {failed[0]}")
    answered = [line for line in lines if line["suite"] not in ATTACKED]
    if header.candidate_digest == header.production_digest:
        found.append("same_model: candidate and production are the same weights; there is nothing to release")
    elif answered and all(_said(line["production"]) == _said(line["candidate"]) for line in answered):
        found.append(
            f"identical_to_production: all {len(answered)} answers are byte-identical to production's; "
            "check that the candidate was served and that training changed anything"
        )
    return found


def _said(score: dict[str, Any]) -> list[str]:
    return [score["answer"], *(sample["answer"] for sample in score.get("samples") or ())]


def _broken(number: int, text: bytes, error: Exception) -> str:
    if _not_a_number(text):
        return f"not_a_number: line {number} of the scores holds NaN or infinity"
    words = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
    place = ".".join(str(part) for part in words["loc"])
    return f"unreadable_scores: line {number}: {place} {words['msg']}".replace(":  ", ": ")


def _not_a_number(text: bytes) -> bool:
    """Tell whether the line would be JSON if NaN and infinity were; an answer may hold the words."""

    def refuse(constant: str) -> NoReturn:
        raise ArithmeticError(constant)

    try:
        json.loads(text, parse_constant=refuse)
    except ArithmeticError:
        return True
    except ValueError:
        return False
    return False
