"""Answers that users rated up: the regression guard and the rehearsal of a user who brings neither.

Half of the liked questions (by hash, for ever the same half) become evaluation items of suite "untouched", the other
half may be trained on again as original data. Neither half holds a question that somebody corrected or rated down.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.curation.texts.normal_form import normal_form
from flywheel.components.dataset.prompts import parse_messages, prompt_key
from flywheel.components.dataset.replay import ReplayRow
from flywheel.components.dataset.split import share_of

GUARD_SHARE = 0.5


def read_liked(snapshot: CandidateSnapshot, corrected: Collection[str]) -> list[ReplayRow]:
    """Read one liked answer for each question on which the users agree.

    Args:
        snapshot: Candidates of the run; their store holds the interactions and ratings.
        corrected: Keys of questions that somebody corrected: the liked answer to them may be out of date.

    Returns:
        One row a question, in order of the questions' keys: the answer rated up most often.

    Raises:
        StoreError: The tables cannot be read.
    """
    from flywheel.components.store import delta_table, observed

    store = snapshot.candidates.store
    rated = observed.standing_ratings(delta_table.latest(store, "feedback"))
    up: Counter[str] = Counter()
    down: Counter[str] = Counter()
    for row in rated.to_pylist():
        if row["value"]:
            (up if row["value"] > 0 else down)[row["interaction_id"]] += 1
    answers: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    disliked = set(corrected)
    columns = ["interaction_id", "messages", "response", "consent"]
    for row in observed.read(delta_table.latest(store, "interactions"), columns).to_pylist():
        name = row["interaction_id"]
        if not row["consent"] or (name not in up and name not in down):
            continue
        try:
            key = prompt_key(parse_messages(row["messages"]))
        except ValueError:  # an answer without a question: preference data may hold one; it is no item
            continue
        if down[name]:
            disliked.add(key)
        elif row["response"].strip():
            answers[key][row["messages"], row["response"].strip()] += up[name]
    rows = []
    for key in sorted(answers.keys() - disliked):
        if len({normal_form(response) for _, response in answers[key]}) == 1:
            (messages, response), _ = min(answers[key].items(), key=lambda item: (-item[1], item[0]))
            rows.append(ReplayRow(0, parse_messages(messages), key, response))
    return rows


def divide(rows: Sequence[ReplayRow], seed: int) -> tuple[list[ReplayRow], list[ReplayRow]]:
    """Divide the liked answers into those that guard and those that may be trained on.

    Args:
        rows: One row a question.
        seed: Chooses another division.

    Returns:
        The guards and the rehearsal; no question is in both.
    """
    guards = [row for row in rows if share_of(f"liked\0{row.key}", seed) < GUARD_SHARE]
    rehearsal = [row for row in rows if share_of(f"liked\0{row.key}", seed) >= GUARD_SHARE]
    return guards, rehearsal


def untouched_items(guards: Sequence[ReplayRow]) -> list[EvaluationItem]:
    """Make one item of suite "untouched" per guarded question; each question is its own cluster."""
    return [
        EvaluationItem(
            item_id=f"liked-{hashlib.sha256(row.key.encode()).hexdigest()[:16]}",
            suite="untouched",
            messages=row.messages,
            references=(row.completion,),
            slices={"source": "liked"},
        )
        for row in guards
    ]
