"""References to a version of a table in the feedback store, as artifacts carry them between steps."""

from typing import Literal

from pydantic import Field

from flywheel.components.contracts.document import Document

TableName = Literal["interactions", "feedback", "candidates", "reviews", "quarantine", "lineage"]


class TableReference(Document):
    """One version of one table: the exact rows that a step read or wrote.

    `first_rows_of` narrows nothing by itself; it records which run wrote last, for people.
    """

    store: str  # local folder or s3:// gs:// abfs:// URI
    table: TableName
    version: int = Field(ge=0)


class FeedbackSnapshot(Document):
    """What intake hands on: the interactions and the feedback as of one moment."""

    schema_: Literal["flywheel.snapshot/v1"] = Field(default="flywheel.snapshot/v1", alias="schema")
    interactions: TableReference
    feedback: TableReference


class CandidateSnapshot(Document):
    """What curation hands on: the candidates of one run in one version of the table."""

    schema_: Literal["flywheel.candidates/v1"] = Field(default="flywheel.candidates/v1", alias="schema")
    candidates: TableReference
    run_id: str
