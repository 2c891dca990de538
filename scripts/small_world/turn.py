"""One turn of a conversation while the log is being made, and its line in the log."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flywheel.components.contracts.feedback import SCHEMA
from flywheel.scripts.small_world.facts import Key
from flywheel.scripts.small_world.population import User


@dataclass
class Turn:
    """One question with its answer and what its user said about it.

    Attributes:
        user: Who asked.
        at: When.
        kind: fact, service, refusal, spam or poison.
        asked: The question.
        clean: The question without sloppiness or personal data.
        conversation: Turns of one conversation share it.
        fact: The fact asked about, for kind fact and poison.
        wording: Number of the wording, -1 when there is none.
        service: Name of the service topic, "" otherwise.
        response: What production said.
        signals: What the user said, in the shape of the feedback contract.
        marks: What the truth file counts: wrong_correction, pii, near_duplicate, late, ...
    """

    user: User
    at: datetime
    kind: str
    asked: str
    clean: str
    conversation: str
    fact: Key | None = None
    wording: int = -1
    service: str = ""
    response: str = ""
    signals: dict[str, Any] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)
    interaction: str = ""

    def record(self, version: str) -> dict[str, Any]:
        """Return the turn as a `flywheel.feedback/v1` record.

        Args:
            version: What the serving side calls the model that answered.
        """
        return {
            "schema": SCHEMA,
            "interaction": self.interaction,
            "conversation": self.conversation,
            "user": self.user.name,
            "timestamp": self.at.isoformat(),
            "model_version": version,
            "messages": [{"role": "user", "content": self.asked}],
            "response": self.response,
            "signals": self.signals,
            "source": "support-chat",
            "language": "en",
        }
