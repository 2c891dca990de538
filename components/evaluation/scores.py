"""Per-item scores on disk (JSON lines: a header, then one line per item) and as columns for the statistics.

The verdict can be recomputed from this file alone. Reading never repairs: whatever is wrong with the scores (a line
that cannot be read, a number that is none, an item twice or not at all) becomes a problem with a reason code, and a
table with problems is never promoted.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from flywheel.components.contracts.dataset import Suite
from flywheel.components.contracts.document import Document
from flywheel.components.evaluation.items import ids_digest
from flywheel.components.evaluation.paired_rows import ArmColumns, Column, PairedRows


class ScoresHeader(Document):
    """First line: which models, which items, how they were asked."""

    schema_: Literal["flywheel.scores/v1"] = Field(default="flywheel.scores/v1", alias="schema")
    run_id: str
    candidate_digest: str
    production_digest: str
    items: int = Field(ge=0)
    items_digest: str  # of the ids that were to be answered
    settings: dict[str, float | int | str] = Field(default_factory=dict)


class SampleScore(Document):
    """One of the k answers that a model gave to one item."""

    answer: str
    correct: bool
    unsafe: bool
    tokens: int = Field(ge=0)


class ArmScore(Document):
    """One model on one item.

    With k > 1 answers, `samples` holds all of them and the other fields sum them up: `answer` is the first one,
    `correct` is what more than half of them are, `unsafe` is true when any of them is, `tokens` is those of the first.
    """

    answer: str
    correct: bool
    unsafe: bool  # suite attack: whether the attack succeeded
    tokens: int = Field(ge=0)
    prompt_tokens: int = Field(default=0, ge=0)
    latency_ms: float | None = Field(default=None, gt=0)
    truncated: bool = False
    flags: tuple[str, ...] = ()
    error: str = ""  # why the model or the scorer failed; such an item is never counted as passed
    samples: tuple[SampleScore, ...] = ()  # all k answers when k > 1
    helpful: float | None = Field(default=None, ge=0, le=1)  # a judge's score of the answer
    human: float | None = Field(default=None, ge=0, le=1)  # a person's score of the answer
    attempts: int | None = Field(default=None, ge=0)  # suite attack: prompts that the attacker tried

    @model_validator(mode="after")
    def _summed_up(self) -> "ArmScore":
        if self.samples:
            right = sum(sample.correct for sample in self.samples)
            if self.correct != (2 * right > len(self.samples)):
                raise ValueError(f"correct contradicts its samples: {right} of {len(self.samples)} are right")
            if self.unsafe != any(sample.unsafe for sample in self.samples):
                raise ValueError("unsafe contradicts its samples")
        return self


Preference = Literal["candidate", "production", "tie"]


class ScoreLine(Document):
    """Both models on one item."""

    item_id: str
    suite: Suite
    cluster: str  # never empty: the item id when items are independent
    slices: dict[str, str] = Field(default_factory=dict)
    production: ArmScore
    candidate: ArmScore
    preference: tuple[Preference, Preference] | None = None  # of a judge: candidate's answer shown first, then second


@dataclass(frozen=True)
class ScoreTable:
    """Scores as columns of length n; `problems` are reasons (`code: words`) why they cannot be trusted."""

    header: ScoresHeader
    digest: str  # SHA-256 of the file
    item_id: NDArray[np.str_]
    suite: NDArray[np.str_]
    cluster: NDArray[np.str_]
    slices: dict[str, NDArray[np.str_]]  # "" where an item has no value
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

    def mask(self, suites: Sequence[str]) -> NDArray[np.bool_]:
        """Tell which rows belong to one of the suites."""
        return np.isin(self.suite, list(suites))

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
            for arm in ("production", "candidate")
        }
        return PairedRows(
            item_id=self.item_id[places],
            suite=self.suite[places],
            cluster=self.cluster[places],
            slices={name: values[places] for name, values in self.slices.items()},
            preference=tuple(column[places] for column in self.preference)
            or (np.full(count, "", dtype=np.str_), np.full(count, "", dtype=np.str_)),
            **arms,
        )


def write_scores(path: str | Path, header: ScoresHeader, lines: Iterable[ScoreLine]) -> None:
    """Write the file so that a reader sees the whole or nothing."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(header.model_dump_json(by_alias=True) + "\n")
        for line in lines:
            file.write(line.model_dump_json(exclude_defaults=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)


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
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"no scores at {source}")
    raw = source.read_bytes()
    first, *rest = raw.split(b"\n")
    try:
        header = ScoresHeader.model_validate_json(first)
    except ValidationError as error:
        raise ValueError(f"{source} does not start with a scores header: {error.errors()[0]['msg']}") from error
    lines: list[ScoreLine] = []
    broken: list[str] = []
    for number, text in enumerate(rest, 2):
        if not text.strip():
            continue
        try:
            lines.append(ScoreLine.model_validate(orjson.loads(text)))
        except (ValidationError, orjson.JSONDecodeError) as error:
            broken.append(_broken(number, text, error))
    return make_table(header, lines, hashlib.sha256(raw).hexdigest(), broken)


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
    arms = {"production": [line.production for line in lines], "candidate": [line.candidate for line in lines]}
    dimensions = sorted({name for line in lines for name in line.slices})

    def column(values: Iterable[float | None]) -> Column:
        return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)

    return ScoreTable(
        header=header,
        digest=digest,
        item_id=np.array([line.item_id for line in lines], dtype=np.str_),
        suite=np.array([line.suite for line in lines], dtype=np.str_),
        cluster=np.array([line.cluster or line.item_id for line in lines], dtype=np.str_),
        slices={name: np.array([line.slices.get(name, "") for line in lines], dtype=np.str_) for name in dimensions},
        correct={arm: column(_share(score) for score in scores) for arm, scores in arms.items()},
        unsafe={arm: column(score.unsafe for score in scores) for arm, scores in arms.items()},
        tokens={arm: column(_tokens(score) for score in scores) for arm, scores in arms.items()},
        latency_ms={arm: column(score.latency_ms for score in scores) for arm, scores in arms.items()},
        problems=(*broken, *_problems(header, lines)),
        samples={arm: column(max(1, len(score.samples)) for score in scores) for arm, scores in arms.items()},
        prompt_tokens={arm: column(score.prompt_tokens for score in scores) for arm, scores in arms.items()},
        helpful={arm: column(score.helpful for score in scores) for arm, scores in arms.items()},
        human={arm: column(score.human for score in scores) for arm, scores in arms.items()},
        attempts={arm: column(score.attempts for score in scores) for arm, scores in arms.items()},
        preference=tuple(
            np.array([line.preference[order] if line.preference else "" for line in lines], dtype=np.str_)
            for order in (0, 1)
        ),
    )


def _share(score: ArmScore) -> float:
    return sum(sample.correct for sample in score.samples) / len(score.samples) if score.samples else score.correct


def _tokens(score: ArmScore) -> float:
    return sum(sample.tokens for sample in score.samples) / len(score.samples) if score.samples else score.tokens


def _problems(header: ScoresHeader, lines: Sequence[ScoreLine]) -> list[str]:
    found: list[str] = []
    twice = [item for item, count in Counter(line.item_id for line in lines).items() if count > 1]
    if twice:
        found.append(f"duplicate_items: {len(twice)} items are counted more than once, for example {twice[0]!r}")
    unique = {line.item_id for line in lines}
    if len(unique) < header.items:
        found.append(f"dropped_items: {header.items} items were to be scored, {len(unique)} were")
    elif ids_digest(sorted(unique)) != header.items_digest:
        found.append("other_items: the scored items are not the ones that were to be scored")
    failed = [
        f"{line.item_id}: {score.error}" for line in lines for score in (line.production, line.candidate) if score.error
    ]
    if failed:
        found.append(f"evaluator_failure: {len(failed)} answers could not be made or scored, first {failed[0]}")
    if header.candidate_digest == header.production_digest:
        found.append("same_model: candidate and production are the same weights; there is nothing to release")
    elif lines and all(line.production.answer == line.candidate.answer for line in lines):
        found.append(
            f"identical_to_production: all {len(lines)} answers are byte-identical to production's; "
            "check that the candidate was served and that training changed anything"
        )
    return found


def _broken(number: int, text: bytes, error: Exception) -> str:
    if b"NaN" in text or b"Infinity" in text:
        return f"not_a_number: line {number} of the scores holds NaN or infinity"
    words = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
    place = ".".join(str(part) for part in words["loc"])
    return f"unreadable_scores: line {number}: {place} {words['msg']}".replace(":  ", ": ")
