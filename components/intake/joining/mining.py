"""Signals of one dialogue: next turns read by the rules, and endings once the window after them has passed."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise

from flywheel.components.intake.joining import ending, next_turn
from flywheel.components.intake.joining.dialogues import Turn
from flywheel.components.intake.joining.next_turn import AT_ONCE, Mined


@dataclass(frozen=True)
class Signal:
    """A mined signal in its place.

    Attributes:
        turn: The answer that it is about.
        mined: What was seen.
        at: When the user did it; of an ending, when its window passed.
        following: Id of the turn that shows it, "" for an ending.
    """

    turn: Turn
    mined: Mined
    at: datetime
    following: str


@cache
def confidences() -> dict[str, float]:
    """Measured confidence of each rule, by `name/rule`; a rule that was never measured is not there.

    Raises:
        ValueError: The packaged confidences are of other rules than these (`calibration.py` was not run).
    """
    packaged = json.loads(files("flywheel.components.intake.joining").joinpath("confidences.json").read_bytes())
    if packaged["version"] != next_turn.VERSION:
        raise ValueError(
            f"confidences.json was measured for rules of version {packaged['version']}, these are {next_turn.VERSION}; "
            "run python -m flywheel.components.intake.joining.calibration on the labelled dialogues"
        )
    return {name: float(entry["confidence"]) for name, entry in packaged["rules"].items()}


def mine(
    dialogue: list[Turn], window: timedelta, watermark: datetime, spoken: frozenset[str] | set[str]
) -> Iterator[Signal]:
    """Read a dialogue.

    Args:
        dialogue: Turns in order.
        window: A user who says nothing for so long has left; what comes later begins a new sitting.
        watermark: Newest time in the log: an ending is judged when its window has passed by then.
        spoken: Turns about which the user said something explicitly; leaving after them says no more.

    Yields:
        Signals in order of their turns.
    """
    for sitting in _sittings(dialogue, window):
        before: set[str] = set()
        for turn, following in pairwise(sitting):
            gap = following.at - turn.at if turn.stored and following.stored else AT_ONCE
            found = next_turn.read(turn.prompt, turn.answer, following.prompt, following.answer, max(gap, timedelta(0)))
            before = {mined.name for mined in found}
            for mined in found:
                yield Signal(turn, mined, following.at, following.turn_id)
        last = sitting[-1]
        pleased = not ending.PLEASED.isdisjoint(before)
        if last.turn_id in spoken or pleased or last.at + window > watermark:
            continue
        answer_before = sitting[-2].answer if len(sitting) > 1 else ""
        mined = ending.read(last.answer, answer_before, not ending.TROUBLE.isdisjoint(before))
        yield Signal(last, mined, last.at + window, "")


def _sittings(dialogue: list[Turn], window: timedelta) -> Iterable[list[Turn]]:
    sitting: list[Turn] = []
    for turn in dialogue:
        if sitting and sitting[-1].stored and turn.stored and turn.at - sitting[-1].at > window:
            yield sitting
            sitting = []
        sitting.append(turn)
    if sitting:
        yield sitting
