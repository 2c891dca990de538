"""What it says when a user does not come back: silence after an answer, read together with the answer.

Most people who got their answer leave without a word, so silence alone says next to nothing; its measured confidence
shows that. Silence after an answer that was none, or that only repeated the one the user had turned down, says a lot.
"""

from flywheel.components.curation.texts.normal_form import normal_form
from flywheel.components.intake.joining.next_turn import Mined, evades

TROUBLE = frozenset({"dissatisfied", "corrected", "rephrase", "regenerate"})
PLEASED = frozenset({"accepted", "copy"})


def read(answer: str, answer_before: str, trouble_before: bool) -> Mined:
    """Read an ending: the window after an answer has passed, and its user said nothing about it.

    Args:
        answer: The last answer.
        answer_before: The answer before it in the same conversation, "" when there is none.
        trouble_before: Whether the user's last message turned that answer down or asked the same again.
    """
    if evades(answer):
        return Mined("abandon", "evasive_answer")
    if trouble_before and normal_form(answer) == normal_form(answer_before):
        return Mined("abandon", "same_answer_again")
    return Mined("abandon", "silence")
