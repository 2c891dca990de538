"""Original data that is mixed in so that the model keeps what it knows, without what the corrections overruled."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from flywheel.components.curation.texts.normal_form import normal_form
from flywheel.components.dataset.corrections import FACTUAL, Correction, agree
from flywheel.components.dataset.prompts import Messages, parse_messages, prompt_key

MALFORMED = "malformed"
DUPLICATE = "duplicate"
SUPERSEDED = "superseded"
_COMMON = 0.1  # a word in more than this share of the prompts says nothing about a prompt's subject

_WITNESSES = 2  # users who must have replaced an answer before its paraphrases count as out of date
_ALIKE = 0.5  # Jaccard similarity of two questions' words at which they are about the same thing


@dataclass(frozen=True)
class ReplayRow:
    """One row of original data."""

    line: int
    messages: Messages
    key: str
    completion: str


@dataclass(frozen=True)
class ReplayRead:
    """What a replay file held: every line is a row, a duplicate or malformed."""

    lines: int
    rows: list[ReplayRow]
    left_out: dict[str, int]
    first_fault: str  # "" when no line was malformed


def read_replay(path: str) -> ReplayRead:
    """Read replay data: JSON lines of {"messages", "response"} or {"prompt", "completion"}.

    Prompts may be message lists or text; so may completions.

    Args:
        path: File; "" for none.

    Returns:
        The rows, and what was left out.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file has lines and not one can be read.
    """
    if not path:
        return ReplayRead(0, [], {}, "")
    if not Path(path).is_file():
        raise FileNotFoundError(f"replay data {path}: no such file")
    rows: list[ReplayRow] = []
    left_out: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    lines, fault = 0, ""
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            lines += 1
            try:
                row = _row(number, orjson.loads(line))
            except ValueError as error:
                left_out[MALFORMED] += 1
                fault = fault or f"line {number}: {error}"
                continue
            identity = (row.key, normal_form(row.completion) or row.completion)
            if identity in seen:
                left_out[DUPLICATE] += 1
                continue
            seen.add(identity)
            rows.append(row)
    if lines and not rows:
        raise ValueError(
            f'replay data {path}: none of {lines} lines is {{"messages", "response"}} or {{"prompt", "completion"}} '
            f"({fault})"
        )
    return ReplayRead(lines, rows, dict(left_out), fault)


def _row(number: int, value: Any) -> ReplayRow:
    if not isinstance(value, Mapping):
        raise ValueError("not a JSON object")
    prompt = value.get("prompt", value.get("messages"))
    completion = value.get("completion", value.get("response"))
    if isinstance(completion, Sequence) and not isinstance(completion, str):
        if len(completion) != 1 or not isinstance(completion[0], Mapping):
            raise ValueError("completion is not one message")
        completion = completion[0].get("content")
    if prompt is None or not isinstance(completion, str) or not completion.strip():
        raise ValueError("no prompt, or no completion with text")
    messages = parse_messages(prompt)
    return ReplayRow(number, messages, prompt_key(messages), completion.strip())


def without_superseded(
    rows: Sequence[ReplayRow], corrections: Sequence[Correction]
) -> tuple[list[ReplayRow], list[ReplayRow]]:
    """Leave out the rows that would teach what users have corrected.

    A row is superseded when it answers a corrected question otherwise than the correction, or when its answer is word
    for word one that two users' factual corrections replaced, on the same subject: paraphrases of a corrected question
    carry the old answer too. One user alone may err and does not retire what else is known about a subject. Same
    subject: the answer names a word that both questions hold and that is rare among the replay questions, or half of
    the questions' words are the same. So a refusal that was wrong once does not take all refusals with it.

    Args:
        rows: Replay rows.
        corrections: The accepted corrections that stand, held-out ones too.

    Returns:
        The rows that stay, and the superseded ones.
    """
    by_question: dict[str, list[Correction]] = defaultdict(list)
    by_rejected: dict[str, list[Correction]] = defaultdict(list)
    for item in corrections:
        by_question[item.key].append(item)
        rejected = normal_form(item.rejected)
        if rejected and item.category == FACTUAL and rejected != normal_form(item.correction):
            by_rejected[rejected].append(item)
    frequency = Counter(word for row in rows for word in set(row.key.split()))
    limit = max(2, int(_COMMON * len(rows)))

    def superseded(row: ReplayRow) -> bool:
        asked = row.messages[-1].content
        if any(not agree(item.correction, row.completion, asked) for item in by_question.get(row.key, ())):
            return True
        answer, words = normal_form(row.completion), set(row.key.split())
        named = {word for word in words if frequency[word] <= limit} & set(answer.split())
        against = {
            item.subject for item in by_rejected.get(answer, ()) if _same_subject(words, set(item.key.split()), named)
        }
        return len(against) >= _WITNESSES

    flags = [superseded(row) for row in rows]
    return (
        [row for row, flag in zip(rows, flags, strict=True) if not flag],
        [row for row, flag in zip(rows, flags, strict=True) if flag],
    )


def _same_subject(asked: set[str], other: set[str], named: set[str]) -> bool:
    """Whether two questions with one answer are about one thing; `named`: rare words of the first in the answer."""
    return bool(named & other) or len(asked & other) >= _ALIKE * len(asked | other)
