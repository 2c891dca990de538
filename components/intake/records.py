"""The shapes that log rows come in, and their way into the feedback record `flywheel.feedback/v1`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from flywheel.components.contracts.feedback import Annotator, FeedbackRecord
from flywheel.components.intake import flat_record, openai_log, preferences, timestamps

FORMATS = ("auto", "feedback", "csv", "parquet", "openai", "preferences")
_SHAPES = {
    "feedback": flat_record.to_fields,
    "openai": openai_log.to_fields,
    "preferences": preferences.to_fields,
}


@dataclass(frozen=True)
class ReadRecord:
    """A valid record, the shape it came in, who annotated, and whether its time is the file's (the row had none)."""

    record: FeedbackRecord
    shape: str
    annotator: Annotator
    time_assumed: bool


class Refused(Exception):
    """A row that is no record: reason code and words without personal data."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def shape_of(value: dict[str, Any]) -> str:
    """Tell by its fields which shape a row has; what is neither OpenAI's nor a preference is our own."""
    if "chosen" in value and "rejected" in value:
        return "preferences"
    if value.get("object") == "chat.completion" or "choices" in value:
        return "openai"
    if isinstance(value.get("request"), dict) and "response" in value:
        return "openai"
    return "feedback"


def read_record(value: dict[str, Any], log_format: str, modified: datetime, now: datetime) -> ReadRecord:
    """Make the feedback record of a row.

    Args:
        value: The row's fields.
        log_format: A name of FORMATS; for "auto", "csv" and "parquet" the fields tell the shape.
        modified: When the file was written; the time of rows of preference data without one.
        now: The time of reading, for the check of the timestamp.

    Raises:
        Refused: The row is no record; for reason "no_consent" nothing of the row may be kept.
    """
    shape = log_format if log_format in _SHAPES else shape_of(value)
    if not flat_record.consent(value):
        raise Refused("no_consent", "the user did not agree to the use of this record; nothing of it is kept")
    try:
        fields = _SHAPES[shape](value)
        assumed = shape == "preferences" and fields.get("timestamp") is None
        moment = modified if assumed else timestamps.parse(fields.get("timestamp"))
    except ValueError as error:
        raise Refused("invalid_record", str(error)) from error
    wrong = timestamps.problem(moment, now)
    if wrong is not None and not assumed:
        raise Refused(*wrong)
    try:
        record = FeedbackRecord.model_validate(fields | {"timestamp": moment})
    except ValidationError as error:
        raise Refused("invalid_record", _words(error)) from error
    return ReadRecord(record, shape, Annotator.HUMAN if shape == "preferences" else Annotator.USER, assumed)


def _words(error: ValidationError) -> str:
    problems = []
    for item in error.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in item["loc"]) or "record"
        problems.append(f"{place}: {item['msg'].removeprefix('Value error, ')}")
    return "; ".join(problems[:5])
