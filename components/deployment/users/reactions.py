"""How a simulated user takes an answer: judged against what the user knows, then a seeded draw of what the user does.

The rates are those of people who care about the answer; most right answers draw no word, most wrong ones some sign.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from flywheel.components.evaluation.scores.scorers import normalise

Kind = Literal["right", "wrong", "unknown", "failed"]

# Kind of answer -> what the user does, and with which probability; the rest does nothing.
_RATES: dict[Kind, dict[str, float]] = {
    "right": {"up": 0.12, "copy": 0.10, "rephrase": 0.02, "down": 0.01, "abandon": 0.01},
    "wrong": {"down": 0.17, "comment": 0.08, "correct": 0.22, "rephrase": 0.18, "abandon": 0.10, "up": 0.01},
    "unknown": {"copy": 0.08, "rephrase": 0.06, "abandon": 0.03},
    "failed": {"rephrase": 0.45, "abandon": 0.45},
}
_COMMENTS = (
    "This is wrong.",
    "That is out of date.",
    "Not what it says on the page.",
    "Are you sure? I do not think so.",
)


@dataclass(frozen=True)
class Reaction:
    """What a user did after an answer; `signals` are fields of a turn."""

    wrong: bool | None
    signals: dict[str, Any] = field(default_factory=dict)

    @property
    def left(self) -> bool:
        """Whether the user ended the visit."""
        return "abandon" in self.signals.get("implicit", ())


def react(answer: str, failed: bool, references: tuple[str, ...], random: Random) -> Reaction:
    """Draw one user's reaction.

    Args:
        answer: Text of the answer.
        failed: Whether the server failed or said nothing.
        references: Answers that the user takes as right; none: the user cannot tell, and shows implicit signs only.
        random: The user's own generator.

    Returns:
        The reaction.
    """
    wrong = None if not references else normalise(answer) not in {normalise(known) for known in references}
    kind: Kind = "failed" if failed else "unknown" if wrong is None else "wrong" if wrong else "right"
    draw, did = random.random(), ""
    for name, rate in _RATES[kind].items():
        if draw < rate:
            did = name
            break
        draw -= rate
    signals: dict[str, Any] = {}
    if did in ("rephrase", "abandon", "copy"):
        signals["implicit"] = (did,)
    elif did in ("up", "down", "comment"):
        signals["rating"] = 1 if did == "up" else -1
        if did == "comment":
            signals["comment"] = random.choice(_COMMENTS)
    elif did == "correct":
        signals["correction"] = references[0]
    return Reaction(wrong=wrong, signals=signals)
