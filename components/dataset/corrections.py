"""The accepted corrections of a run, read from the store, and which of two disagreeing ones stays."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.curation.texts.claims import answers_agree as agree
from flywheel.components.curation.texts.normal_form import has_digit, normal_form
from flywheel.components.dataset.prompts import Messages, parse_messages, prompt_key

ACCEPTED = "accept"
FACTUAL = "factual"
OUTVOTED = "outvoted"  # others corrected the same question otherwise, and were more
CONFLICTING = "conflicting"  # as many say this as say that


@dataclass(frozen=True)
class Correction:
    """One accepted candidate: a question with the answer it should have had."""

    candidate_id: str
    subject: str
    messages: Messages
    key: str  # which question it is
    rejected: str
    correction: str
    category: str
    group_id: str
    cluster_name: str


def read_corrections(snapshot: CandidateSnapshot) -> list[Correction]:
    """Read the run's accepted candidates as of the snapshot's table version, in order of their ids.

    Raises:
        StoreError: The table cannot be read.
        ValueError: A candidate's messages cannot be read; the message names it.
    """
    import pyarrow.compute as pc

    from flywheel.components.store import delta_table

    where = (pc.field("run_id") == snapshot.run_id) & (pc.field("route") == ACCEPTED)
    rows = delta_table.read(snapshot.candidates, where=where).to_pylist()
    return [_correction(row) for row in sorted(rows, key=lambda row: row["candidate_id"])]


def _correction(row: dict[str, str]) -> Correction:
    try:
        given = row["messages"]
        messages = parse_messages(given if given not in ("", "[]") else row["prompt"])
    except ValueError as error:
        raise ValueError(f"candidate {row['candidate_id']}: {error}") from error
    return Correction(
        candidate_id=row["candidate_id"],
        subject=row["subject"],
        messages=messages,
        key=prompt_key(messages),
        rejected=row["response"],
        correction=row["correction"].strip(),
        category=row["category"],
        group_id=row["group_id"] or row["candidate_id"],
        cluster_name=row["cluster_name"],
    )


def settle(corrections: Sequence[Correction]) -> tuple[list[Correction], dict[str, list[Correction]]]:
    """Keep one answer per question: the one that most users gave.

    A user counts once per question, however often he says it. Without a strict majority over every other answer
    nothing is kept, because the model would be taught either at random.

    Args:
        corrections: Accepted corrections.

    Returns:
        Those that stay, in their order, and those that do not by reason (`outvoted`, `conflicting`).
    """
    questions: dict[str, list[Correction]] = defaultdict(list)
    for item in corrections:
        questions[item.key].append(item)
    reasons: dict[str, str] = {}
    for items in questions.values():
        camps = _camps(items)
        votes = [len({item.subject for item in camp}) for camp in camps]
        best = max(votes)
        for camp, count in zip(camps, votes, strict=True):
            if count < best or votes.count(best) > 1:
                reason = CONFLICTING if votes.count(best) > 1 and count == best else OUTVOTED
                reasons |= {item.candidate_id: reason for item in camp}
    kept = [item for item in corrections if item.candidate_id not in reasons]
    dropped: dict[str, list[Correction]] = defaultdict(list)
    for item in corrections:
        if item.candidate_id in reasons:
            dropped[reasons[item.candidate_id]].append(item)
    return kept, dict(dropped)


def _camps(items: Sequence[Correction]) -> list[list[Correction]]:
    """Sort the corrections of one question into camps that agree with their longest answer.

    Two wordings of a better tone or a clearer sentence do not exclude each other as long as their figures are the same.
    """
    camps: list[list[Correction]] = []
    for item in sorted(items, key=lambda item: (-len(normal_form(item.correction)), item.candidate_id)):
        question = item.messages[-1].content
        home = next((camp for camp in camps if _compatible(camp[0], item, question)), None)
        if home is None:
            camps.append([item])
        else:
            home.append(item)
    return camps


def _compatible(a: Correction, b: Correction, question: str) -> bool:
    if agree(a.correction, b.correction, question):
        return True
    return FACTUAL not in (a.category, b.category) and _figures(a.correction) == _figures(b.correction)


def _figures(text: str) -> set[str]:
    return {token for token in normal_form(text).split() if has_digit(token)}
