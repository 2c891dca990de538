"""Users of the log who ask again: the canary's traffic where no live users and no traffic file are at hand.

A user's question comes with what that user is known to take as right: the answer that was rated up, or the correction
that curation accepted. A question of which neither is known has no reference and shows only errors and latency.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc

from flywheel.components.contracts.rollout import UserQuestion
from flywheel.components.contracts.tables import TableReference
from flywheel.components.store import delta_table, observed


def write_traffic(given: str, store: str, run_id: str, target: str | Path) -> int:
    """Write the canary's traffic: the given file, or the replayed users of the store.

    Args:
        given: Traffic file (JSON lines of `UserQuestion`), or "".
        store: Feedback store to replay from when no file is given.
        run_id: Run whose accepted corrections count.
        target: File to write.

    Returns:
        Questions written.

    Raises:
        ValueError: The given file has a malformed line, or there is nothing to replay.
    """
    questions = list(_read(given) if given else replay(store, run_id))
    if not questions:
        raise ValueError(
            "no traffic for the canary: the store holds no answered question; "
            "give a traffic file (JSON lines: subject, messages, references) with --traffic"
        )
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text("".join(question.model_dump_json() + "\n" for question in questions), encoding="utf-8")
    temporary.replace(path)
    return len(questions)


def _read(given: str) -> Iterator[UserQuestion]:
    with Path(given).open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield UserQuestion.model_validate_json(line)
            except ValueError as error:
                raise ValueError(f"{given}:{number} is no traffic line: {error}") from error


def replay(store: str, run_id: str) -> Iterator[UserQuestion]:
    """Turn the stored interactions into questions, oldest first.

    Args:
        store: Feedback store.
        run_id: Run whose accepted corrections count.

    Yields:
        One question an interaction, with the answers its user is known to take as right.
    """
    references = _references(store, run_id)
    rows = observed.read(
        delta_table.latest(store, "interactions"),
        ["interaction_id", "subject", "conversation_id", "messages", "timestamp"],
    )
    for row in rows.sort_by([("timestamp", "ascending"), ("interaction_id", "ascending")]).to_pylist():
        messages = json.loads(row["messages"])
        if messages:
            yield UserQuestion(
                subject=row["subject"],
                conversation=row["conversation_id"],
                messages=tuple({"role": one["role"], "content": one["content"]} for one in messages),
                references=tuple(sorted(references.get(row["interaction_id"], ()))),
            )


def _references(store: str, run_id: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    rated = observed.standing_ratings(delta_table.latest(store, "feedback"))
    liked = rated.filter(pc.greater(rated["value"], 0))
    answers = delta_table.read(
        delta_table.latest(store, "interactions"),
        ["interaction_id", "response"],
        pc.field("interaction_id").isin(liked["interaction_id"].combine_chunks()),
    )
    for row in answers.to_pylist():
        found[row["interaction_id"]].add(row["response"])
    accepted = delta_table.read(
        _candidates(store),
        ["interaction_id", "correction"],
        (pc.field("run_id") == run_id) & (pc.field("route") == "accept"),
    )
    for row in accepted.to_pylist():
        found[row["interaction_id"]] = {row["correction"]}  # the user said what is right: the old answer is not
    return found


def _candidates(store: str) -> TableReference:
    return delta_table.latest(store, "candidates")
