"""What a scores file holds: a header line, then one line per item with both models' answers and scores."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from flywheel.components.contracts.dataset import Suite
from flywheel.components.contracts.document import Document


class PlannedMetric(Document):
    """What a metric has and needs, known before anything is answered.

    `needed` is the number of items in all at which the metric has its power if things are as the spec expects them;
    without an expectation, the least with which it could pass at all.
    """

    name: str
    role: Literal["primary", "guardrail", "slice"]
    suites: tuple[Suite, ...]
    n: int = Field(ge=0)
    clusters: int = Field(ge=0)
    needed: int = Field(ge=0)
    why: str  # what the number rests on

    @property
    def enough(self) -> bool:
        """Whether there are as many items as are needed."""
        return self.n >= self.needed


class ScoresHeader(Document):
    """First line: which models, which items, how they were asked."""

    schema_: Literal["flywheel.scores/v1"] = Field(default="flywheel.scores/v1", alias="schema")
    run_id: str
    candidate_digest: str
    production_digest: str
    items: int = Field(ge=0)
    items_digest: str  # of the ids that were to be answered
    settings: dict[str, float | int | str] = Field(default_factory=dict)
    unanswered: tuple[PlannedMetric, ...] = ()  # the plan, when it was underpowered and so nothing was answered


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


def read_header(path: str | Path) -> ScoresHeader:
    """Read the first line of a scores file.

    Args:
        path: Scores file.

    Returns:
        The header.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The first line is no header.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"no scores at {source}")
    with source.open("rb") as file:
        first = file.readline()
    try:
        return ScoresHeader.model_validate_json(first)
    except ValidationError as error:
        raise ValueError(f"{source} does not start with a scores header: {error.errors()[0]['msg']}") from error


_SUITES = frozenset(get_args(Suite))
_PREFERENCES = frozenset(get_args(Preference))
_LINE_KEYS = frozenset(ScoreLine.model_fields)


def is_plain(line: Any) -> bool:
    """Tell quickly that a parsed line is surely valid; False: let `ScoreLine` look at it.

    Ten times faster than pydantic and stricter: whatever passes here, passes there with the same values.

    Args:
        line: What the JSON parser returned.

    Returns:
        Whether the line is a `ScoreLine` for sure.
    """
    if type(line) is not dict or not line.keys() <= _LINE_KEYS:
        return False
    slices, preference = line.get("slices"), line.get("preference")
    return (
        type(line.get("item_id")) is str
        and type(line.get("cluster")) is str
        and type(suite := line.get("suite")) is str
        and suite in _SUITES
        and (slices is None or (type(slices) is dict and all(type(value) is str for value in slices.values())))
        and ("slices" not in line or slices is not None)
        and (preference is None or _is_preference(preference))
        and _is_plain_arm(line.get("production"))
        and _is_plain_arm(line.get("candidate"))
    )


def _is_preference(value: Any) -> bool:
    return type(value) is list and len(value) == 2 and all(type(one) is str and one in _PREFERENCES for one in value)


def _is_plain_arm(arm: Any) -> bool:
    if type(arm) is not dict or not _is_plain_sample(arm):
        return False
    for key, value in arm.items():
        check = _ARM_CHECKS.get(key)
        if check is None or not check(value):
            return False
    samples = arm.get("samples")
    if samples:
        right = sum(sample["correct"] for sample in samples)
        return arm["correct"] == (2 * right > len(samples)) and arm["unsafe"] == any(one["unsafe"] for one in samples)
    return True


def _is_plain_sample(sample: Any) -> bool:
    return (
        type(sample.get("answer")) is str
        and type(sample.get("correct")) is bool
        and type(sample.get("unsafe")) is bool
        and type(tokens := sample.get("tokens")) is int
        and tokens >= 0
    )


def _share(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= value <= 1)


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _text(value: Any) -> bool:
    return type(value) is str


def _positive(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and 0 < value < float("inf"))


def _samples(value: Any) -> bool:
    return type(value) is list and all(type(one) is dict and len(one) == 4 and _is_plain_sample(one) for one in value)


_ARM_CHECKS: dict[str, Callable[[Any], bool]] = {
    "answer": _text,
    "correct": lambda value: type(value) is bool,
    "unsafe": lambda value: type(value) is bool,
    "tokens": _count,
    "prompt_tokens": _count,
    "latency_ms": _positive,
    "truncated": lambda value: type(value) is bool,
    "flags": lambda value: type(value) is list and all(type(one) is str for one in value),
    "error": _text,
    "samples": _samples,
    "helpful": _share,
    "human": _share,
    "attempts": lambda value: value is None or _count(value),
}
