"""Conversations from stored interactions: one turn an interaction, or one record that holds many turns.

Logs come in three ways: records that share a conversation id, each with its own turn; records whose `messages` repeat
all that was said before; and such records without any conversation id. Whichever it is, a turn is there once: a turn
that a later record repeats is the turn that was stored, and a turn that only a later record tells of gets an id from
its content.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flywheel.components.store.tables import row_id

Pair = tuple[str, str]


@dataclass(frozen=True)
class Turn:
    """What a user asked and what the assistant answered.

    Attributes:
        turn_id: The interaction's id; of a turn that only a later record tells of, an id from all that was said so far.
        record: Interaction in whose record the turn stands; equal to `turn_id` when it is stored itself.
        subject: Pseudonym of the user.
        at: When it was logged; of a turn told of, when the record that tells was.
        prompt: What the user said.
        answer: What the assistant said.
        source: Where the record came from.
    """

    turn_id: str
    record: str
    subject: str
    at: datetime
    prompt: str
    answer: str
    source: str = ""

    @property
    def stored(self) -> bool:
        """Whether the turn is an interaction of its own."""
        return self.turn_id == self.record

    @property
    def pair(self) -> Pair:
        """Prompt and answer."""
        return self.prompt, self.answer


@dataclass(frozen=True)
class Said:
    """An interaction as it was logged: its own turn, and the turns before it that its messages repeat."""

    turn: Turn
    history: tuple[Pair, ...]
    conversation: str


def group_key(interaction_id: str, conversation_id: str, messages: str) -> str:
    """What all interactions of one conversation share: its id, or the first words of it when no id was given."""
    if conversation_id != interaction_id:
        return f"id:{conversation_id}"
    first = next((text for role, text in _messages(messages) if role == "user"), "")
    return f"root:{row_id(first)}"


def said_in(row: dict[str, Any]) -> Said:
    """Read a row of the interactions table."""
    pairs, open_prompt = _pairs(row["messages"])
    turn = Turn(
        row["interaction_id"],
        row["interaction_id"],
        row["subject"],
        row["timestamp"],
        open_prompt or row["prompt"],
        row["response"],
        row["source"],
    )
    return Said(turn, tuple(pairs), row["conversation_id"])


def assemble(rows: Iterable[Said]) -> list[list[Turn]]:
    """Put the interactions of one group in order.

    Args:
        rows: Interactions with one `group_key`, in any order.

    Returns:
        Dialogues, each in order of its turns. Rows with a conversation id give one dialogue; of rows without one, those
        that repeat each other's words from the start give one dialogue a thread, so a turn may stand in several.
    """
    ordered = sorted(rows, key=lambda said: (said.turn.at, len(said.history), said.turn.turn_id))
    if not ordered:
        return []
    if ordered[0].conversation != ordered[0].turn.turn_id:
        return [_in_one_conversation(ordered)]
    return _threads(ordered)


def _in_one_conversation(ordered: list[Said]) -> list[Turn]:
    sequence: list[Turn] = []
    told: dict[Pair, int] = defaultdict(int)  # turns that stand in the sequence without being stored
    for said in ordered:
        cursor = 0
        for number, pair in enumerate(said.history):
            place = next((i for i in range(cursor, len(sequence)) if sequence[i].pair == pair), None)
            if place is None:
                sequence.insert(cursor, _told(said, number))
                told[pair] += 1
                cursor += 1
            else:
                cursor = place + 1
        if told[said.turn.pair]:
            place = next(i for i, turn in enumerate(sequence) if not turn.stored and turn.pair == said.turn.pair)
            sequence[place] = said.turn
            told[said.turn.pair] -= 1
        else:
            sequence.append(said.turn)
    return sequence


def _told(said: Said, number: int) -> Turn:
    pairs = said.history[: number + 1]
    identity = row_id("turn", said.conversation if said.conversation != said.turn.turn_id else "", *_flat(pairs))
    return replace(said.turn, turn_id=identity, prompt=pairs[-1][0], answer=pairs[-1][1])


def _threads(ordered: list[Said]) -> list[list[Turn]]:
    by_words: dict[str, list[Said]] = defaultdict(list)  # everything said up to and with a turn -> who stored it
    siblings: dict[str, list[Said]] = defaultdict(list)  # everything said before a turn -> the turns after it
    for said in ordered:
        by_words[row_id(*_flat((*said.history, said.turn.pair)))].append(said)
        if said.history:
            siblings[row_id(*_flat(said.history))].append(said)
    threads = []
    for said in ordered:
        if by_words.keys() & _continued(said, siblings):
            continue  # a later turn's thread holds this one
        before = row_id(*_flat(said.history)) if said.history else ""
        tries = siblings[before] if said.history else [said]
        if tries[-1] is not said:
            continue
        thread = [_stored_or_told(said, number, by_words) for number in range(len(said.history))]
        threads.append(thread + [one.turn for one in tries])
    return threads


def _continued(said: Said, siblings: dict[str, list[Said]]) -> set[str]:
    key = row_id(*_flat((*said.history, said.turn.pair)))
    return {key} if siblings.get(key) else set()


def _stored_or_told(said: Said, number: int, by_words: dict[str, list[Said]]) -> Turn:
    there = by_words.get(row_id(*_flat(said.history[: number + 1])), [])
    before = [one for one in there if one.turn.at <= said.turn.at]
    mine = [one for one in before if one.turn.subject == said.turn.subject]
    found = mine or before
    return found[-1].turn if found else _told(said, number)


def _flat(pairs: Iterable[Pair]) -> list[str]:
    return [text for pair in pairs for text in pair]


def _pairs(messages: str) -> tuple[list[Pair], str]:
    """Turns that messages hold whole, and the user's words after them."""
    pairs: list[Pair] = []
    asked: list[str] = []
    answered: list[str] = []
    for role, text in _messages(messages):
        if role == "user":
            if answered:
                pairs.append(("\n".join(asked), "\n".join(answered)))
                asked, answered = [], []
            asked.append(text)
        elif role == "assistant" and asked and text.strip():
            answered.append(text)
    if answered:
        pairs.append(("\n".join(asked), "\n".join(answered)))
        asked = []
    return pairs, "\n".join(asked)


def _messages(text: str) -> list[tuple[str, str]]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    found = found if isinstance(found, list) else []
    return [(str(one.get("role", "")), str(one.get("content", ""))) for one in found if isinstance(one, dict)]
