"""The shapes that log rows come in, and their way into the feedback record `flywheel.feedback/v1`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from flywheel.components.contracts.feedback import Annotator, FeedbackRecord
from flywheel.components.intake import plain_row, ratings, timestamps
from flywheel.components.intake.formats import flat_record, registry
from flywheel.components.intake.formats.fields import NO_CONSENT, NoConsent, NotAnInteraction
from flywheel.components.intake.ratings import RatingRule

FORMATS = registry.NAMES
_ESSENCE = ("messages", "response", "interaction", "conversation", "timestamp")  # a record has some of them
_NAMED = 12  # fields of an unknown row that are named


@dataclass(slots=True)  # not frozen, as RawRow
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


def read_record(
    value: dict[str, Any], log_format: str, modified: datetime, now: datetime, rule: RatingRule = ratings.DEFAULT
) -> ReadRecord:
    """Make the feedback record of a row.

    Args:
        value: The row's fields.
        log_format: A name of FORMATS; for "auto", "csv" and "parquet" the fields tell the shape.
        modified: When the file was written; the time of rows of a format that knows none, as preference data.
        now: The time of reading, for the check of the timestamp.
        rule: Which named scores are ratings.

    Raises:
        Refused: The row is no record; for reason "no_consent" nothing of the row may be kept.
    """
    shape = registry.format_of(value, log_format)
    plain = plain_row.read(value, timestamps.latest(now)) if shape.name == "feedback" else None
    if plain is not None:
        return ReadRecord(plain_row.record(plain), shape.name, Annotator.USER, False)
    return read_odd_record(value, log_format, modified, now, rule)


def read_odd_record(
    value: dict[str, Any], log_format: str, modified: datetime, now: datetime, rule: RatingRule = ratings.DEFAULT
) -> ReadRecord:
    """Make the feedback record of a row that `plain_row.read` leaves to this; as `read_record`."""
    shape = registry.format_of(value, log_format)
    if not flat_record.consent(value):
        raise Refused("no_consent", NO_CONSENT)
    try:
        fields = shape.read(value, rule)
        if shape.name == registry.OWN and all(fields.get(name) in (None, []) for name in _ESSENCE):
            raise ValueError(_unknown(value))
        annotator = Annotator(fields.pop("annotator", Annotator.USER))
        assumed = shape.timeless and fields.get("timestamp") is None
        moment = modified if assumed else timestamps.parse(fields.get("timestamp"))
    except NoConsent as error:
        raise Refused("no_consent", NO_CONSENT) from error
    except NotAnInteraction as error:
        raise Refused("not_an_interaction", str(error)) from error
    except ValueError as error:
        raise Refused("invalid_record", str(error)) from error
    wrong = timestamps.problem(moment, now)
    if wrong is not None and not assumed:
        raise Refused(*wrong)
    try:
        record = FeedbackRecord.model_validate(fields | {"timestamp": moment})
    except ValidationError as error:
        raise Refused("invalid_record", _words(error)) from error
    return ReadRecord(record, shape.name, annotator, assumed)


def _unknown(value: dict[str, Any]) -> str:
    """Words for a row of nobody's format, for which "the timestamp is missing" would be the least of its problems."""
    names = ", ".join(list(value)[:_NAMED])
    return (
        f"no format knows this row: no prompt, {', '.join(_ESSENCE[:-1])} or {_ESSENCE[-1]} among its "
        f"fields ({names}); rename them as the intake's README says, or name the log's format"
    )


def _words(error: ValidationError) -> str:
    problems = []
    for item in error.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in item["loc"]) or "record"
        problems.append(f"{place}: {item['msg'].removeprefix('Value error, ')}")
    return "; ".join(problems[:5])
