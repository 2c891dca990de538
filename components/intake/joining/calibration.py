"""Measure how often each rule is right on labelled dialogues, and write the packaged confidences.

    python -m flywheel.components.intake.joining.calibration LABELLED.jsonl [--write confidences.json]

A rule's confidence is the one-sided 95 % Clopper-Pearson lower bound of its precision: what it has shown, not what it
hopes. Rules that fired too seldom to show anything get little, and `join` then leaves their signals out.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from flywheel.components.intake.joining import ending, next_turn
from flywheel.components.intake.joining.next_turn import Mined
from flywheel.components.statistics.binomial_bounds import lower_bound

LEVEL = 0.95
_GAP = timedelta(seconds=30)  # between two messages of a labelled dialogue


@dataclass
class Counts:
    """How a rule (or all rules of one name) did.

    Attributes:
        fired: Times that it gave its signal.
        right: Times that the label agrees.
        wanted: Labels of the name in the data.
    """

    fired: int = 0
    right: int = 0
    wanted: int = 0

    @property
    def precision(self) -> float:
        """Share of its signals that are right; 0 when it never fired."""
        return self.right / self.fired if self.fired else 0.0

    @property
    def recall(self) -> float:
        """Share of the labels that it found; 0 when there are none."""
        return self.right / self.wanted if self.wanted else 0.0

    @property
    def confidence(self) -> float:
        """Lower bound of the precision."""
        return round(lower_bound(self.right, self.fired, LEVEL), 3) if self.fired else 0.0


def signals_of(said: list[str], reply: str = "") -> list[Mined]:
    """The signals about the last answer of a dialogue.

    Args:
        said: User and assistant in turns, starting with the user. Ends with the user: the last message is read. Ends
            with the assistant: the user left.
        reply: What the assistant said to the user's last message, "" when unknown.
    """
    if len(said) % 2:
        return next_turn.read(said[-3], said[-2], said[-1], reply, _GAP)
    before = signals_of(said[:-1], said[-1]) if len(said) >= 4 else []
    names = {mined.name for mined in before}
    if names & ending.PLEASED:
        return []
    return [ending.read(said[-1], said[-3] if len(said) >= 4 else "", bool(names & ending.TROUBLE))]


def measure(dialogues: Iterable[dict[str, Any]]) -> tuple[dict[str, Counts], dict[str, Counts]]:
    """Count by rule (`name/rule`) and by name of signal.

    Args:
        dialogues: `said` (as in `signals_of`), `labels` (names of the signals that are right), `reply` (optional).
    """
    rules: dict[str, Counts] = {}
    names: dict[str, Counts] = {}
    for dialogue in dialogues:
        labels = set(dialogue["labels"])
        for mined in signals_of(dialogue["said"], dialogue.get("reply", "")):
            for counts in (
                rules.setdefault(f"{mined.name}/{mined.rule}", Counts()),
                names.setdefault(mined.name, Counts()),
            ):
                counts.fired += 1
                counts.right += mined.name in labels
        for label in labels:
            names.setdefault(label, Counts()).wanted += 1
    return dict(sorted(rules.items())), dict(sorted(names.items()))


def confidences(rules: dict[str, Counts]) -> dict[str, Any]:
    """What is packaged: the confidence of each rule and the counts behind it."""
    return {
        "version": next_turn.VERSION,
        "level": LEVEL,
        "rules": {
            name: {"confidence": counts.confidence, "right": counts.right, "fired": counts.fired}
            for name, counts in rules.items()
        },
    }


def read_labelled(path: str | Path) -> list[dict[str, Any]]:
    """Read labelled dialogues (JSON lines)."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]


def main(arguments: list[str]) -> None:
    """Print the counts and, when asked, write the packaged file."""
    rules, names = measure(read_labelled(arguments[0]))
    for name, counts in {**rules, **names}.items():
        recall = f"  recall {counts.recall:.3f}" if counts.wanted else ""
        print(
            f"{name:27} fired {counts.fired:4}  right {counts.right:4}  precision {counts.precision:.3f}  "
            f"confidence {counts.confidence:.3f}{recall}"
        )
    if len(arguments) == 3 and arguments[1] == "--write":
        Path(arguments[2]).write_text(json.dumps(confidences(rules), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
