"""Answers that people vouch for: golden items and reviewed corrections, and what corrections say about them.

A correction that contradicts a trusted answer to the same question goes to review, since one of the two is out of date.
A user who contradicts trusted answers more often than agreeing with them, twice at least, is not believed elsewhere.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flywheel.components.curation.guards.claim_support import Row
from flywheel.components.curation.texts.claims import answers_agree
from flywheel.components.curation.texts.normal_form import normal_form, question_form

_DISTRUST = 2  # contradictions

Trusted = Mapping[tuple[str, str], tuple[str, ...]]  # (context, question) in normal form -> right answers


@dataclass(frozen=True)
class Checked:
    """Corrections against trusted answers.

    Attributes:
        agreeing: Indices of rows that say what a trusted answer says.
        contradicting: Indices of rows that contradict all trusted answers to their question.
        distrusted: Users who contradict trusted answers more often than agreeing, twice at least.
    """

    agreeing: set[int]
    contradicting: set[int]
    distrusted: set[str]


def trusted_of(answers: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Sort trusted answers by question.

    Args:
        answers: (context, question, answer) as texts; the context is what was said before, "" for nothing.
    """
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for context, question, answer in answers:
        found[normal_form(context), question_form(question)].append(answer)
    return {key: tuple(dict.fromkeys(texts)) for key, texts in found.items()}


def read_trusted(path: str) -> list[tuple[str, str, str]]:
    """Read trusted answers from evaluation items (`flywheel.components.contracts.dataset.EvaluationItem`).

    Args:
        path: JSON lines; "" for none. Items of kind exact and contains count, and only their references.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is no item; the message names it.
    """
    from pydantic import ValidationError

    from flywheel.components.contracts.dataset import EvaluationItem
    from flywheel.components.curation.corrections import context_of

    if not path:
        return []
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"trusted items {path}: no such file; give JSON lines of evaluation items or leave it out"
        )
    found = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            item = EvaluationItem.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "line"
            raise ValueError(f"trusted items {path}, line {number}: {place}: {first['msg']}") from error
        if item.kind in ("exact", "contains"):
            context = context_of(json.dumps([message.model_dump() for message in item.messages]))
            found += [(context, item.messages[-1].content, reference) for reference in item.references]
    return found


def check(rows: Sequence[Row], trusted: Trusted) -> Checked:
    """Compare factual rows with trusted answers to the same question.

    Args:
        rows: Classified rows.
        trusted: From `trusted_of`.
    """
    agreeing: set[int] = set()
    contradicting: set[int] = set()
    right: dict[str, int] = defaultdict(int)
    wrong: dict[str, int] = defaultdict(int)
    for index, row in enumerate(rows) if trusted else ():
        answers = trusted.get((normal_form(row.get("context") or ""), question_form(row["prompt"])), ())
        if not answers or row["category"] != "factual":
            continue
        agrees = any(answers_agree(answer, row["correction"], row["prompt"]) for answer in answers)
        (agreeing if agrees else contradicting).add(index)
        for subject in row["supporters"]:
            (right if agrees else wrong)[subject] += 1
    distrusted = {subject for subject, number in wrong.items() if number >= _DISTRUST and number > right[subject]}
    return Checked(agreeing, contradicting, distrusted)
