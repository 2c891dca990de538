"""What a review is about: a content, not a row of one run.

A candidate's id changes from run to run, since every run curates the whole log again; question, answer and correction
stay. So a review of one run's candidate holds for whatever candidate says the same in the next.
"""

from collections.abc import Mapping
from typing import Any

from flywheel.components.curation.corrections import context_of
from flywheel.components.curation.texts.normal_form import normal_form, question_form
from flywheel.components.store.tables import row_id


def content_id(context: str, prompt: str, response: str, correction: str) -> str:
    """The id of a content: equal for texts with equal normal forms (the unit of exact duplicates)."""
    return row_id(
        "content", normal_form(context), question_form(prompt), normal_form(response), normal_form(correction)
    )


def of_row(row: Mapping[str, Any]) -> str:
    """The content of a row of curation (with `context`) or of the table `candidates` (with `messages`)."""
    context = row["context"] if "context" in row else context_of(row["messages"])
    return content_id(context, row["prompt"], row["response"], row["correction"])
