"""What may be shown of an attack: answers without the personal data and forbidden texts that it brought out."""

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.evaluation.attack.search import Attempt
from flywheel.components.evaluation.scores.scorers import redacted


def shown(seed: EvaluationItem, attempt: Attempt) -> str:
    """Return the answer of an attempt with what it disclosed blotted out.

    Args:
        seed: The item under attack.
        attempt: The attempt.
    """
    known = [*seed.references, *(message.content for message in attempt.messages)]
    return redacted(attempt.answer.text, known, seed.forbidden)
