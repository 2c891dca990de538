"""A row on its way into the tables: ids are known, texts are not scrubbed yet. Never written as it is."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import orjson

from flywheel.components.contracts.feedback import Annotator, SignalKind
from flywheel.components.intake.json_text import text_of
from flywheel.components.intake.pseudonyms import Pseudonymizer
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.intake.scrubbed_json import rebuild
from flywheel.components.intake.table_rows import TableRows

UNKNOWN_LANGUAGE = "und"  # BCP 47: undetermined
_ORIGIN = "intake"  # attribute that says where a row came from
_COMPACT = f'{{"{_ORIGIN}":{{'  # as orjson writes it
_SCORE = SignalKind.SCORE
_new = tuple.__new__  # half the time of calling a NamedTuple


class Signal(NamedTuple):
    """One feedback row to be; `feedback_id` comes from the raw content under the key, so better scrubbing keeps it."""

    feedback_id: str
    kind: SignalKind
    annotator: Annotator
    name: str
    value: float | None
    text: str | None


class Draft(msgspec.Struct, gc=False):
    """One good row: which interaction it is or is about, its signals, and what is to be scrubbed.

    `record_draft` makes it of any row, `plain_draft` of the usual one.
    """

    raw: RawRow
    shape: str  # name of the row's format
    moment: datetime
    interaction_id: str
    conversation_id: str
    subject: str
    content: str  # keyed digest of the interaction's content; "" when the row holds signals only
    signals: list[Signal]
    messages: list[list[str]]  # role and content of each
    free_text: list[str]  # in the order of `texts`
    attributes: dict[str, Any]
    origin: str  # where in the file it came from, as JSON's members: by it a repeated attempt recognises its own rows
    named_conversation: bool  # whether the row itself names its conversation

    def placeholder_key(self, pseudonyms: Pseudonymizer) -> bytes:
        """Return the key of the conversation's placeholders; empty when the row names no conversation."""
        return bytes.fromhex(pseudonyms.of("placeholders", self.conversation_id)) if self.named_conversation else b""

    def texts(self) -> list[str]:
        """Return all free text of the row for scrubbing, in the order that `rows` takes it back.

        The messages, then response, model version, source and language, then the texts of the signals, the names of
        the scores, and what `scrubbed_json.collect` says of the attributes.
        """
        return self.free_text

    def rows(self, run_id: str, scrubbed: Sequence[str], origin_file: str) -> TableRows:
        """Make the table rows from the scrubbed texts.

        Args:
            run_id: Run that writes.
            scrubbed: The scrubbed `texts()`, in their order.
            origin_file: Scrubbed label of the file.
        """
        messages, prompt = [], ""
        for (role, _), content in zip(self.messages, scrubbed, strict=False):
            messages.append({"role": role, "content": content})
            if role == "user":
                prompt = content
        at = len(messages)
        response, version, source, language = scrubbed[at : at + 4]
        more = iter(scrubbed[at + 4 :])
        # by place: names cost a third more
        own: list[tuple[Any, ...]] = [
            signal if signal[5] is None else (*signal[:5], next(more)) for signal in self.signals
        ]
        own = [signal if signal[1] is not _SCORE else (*signal[:3], next(more), *signal[4:]) for signal in own]
        attributes = rebuild(self.attributes, more) if self.attributes else {}
        origin = f"{_COMPACT}{_members_of_file(origin_file)},{self.origin}}}}}"
        identity, subject, moment = self.interaction_id, self.subject, self.moment
        if not self.content:
            shared = (identity, subject, moment, source, run_id, _with_origin(attributes, origin))
            return _new(TableRows, (None, shared, own))
        interaction = (
            identity,
            self.conversation_id,
            subject,
            moment,
            version,
            orjson.dumps(messages).decode(),  # scrubbed, so valid Unicode
            prompt,
            response,
            language or UNKNOWN_LANGUAGE,
            True,
            source,
            run_id,
            _with_origin(attributes, origin),
        )
        return _new(TableRows, (interaction, (identity, subject, moment, source, run_id, origin), own))


def members(value: dict[str, Any]) -> str:
    """Write the members of an object as JSON does, without the braces."""
    return text_of(value)[1:-1]


@lru_cache(16)
def _members_of_file(label: str) -> str:
    return members({"file": label})


def _with_origin(attributes: dict[str, Any], origin: str) -> str:
    """Write the attributes and the origin, which takes the place of an attribute of its name."""
    if not attributes:
        return origin
    if _ORIGIN not in attributes and origin.startswith(_COMPACT):
        try:
            return f"{orjson.dumps(attributes, default=str)[:-1].decode()},{origin[1:]}"
        except TypeError:  # what orjson refuses is written another way, and then all of it
            pass
    # orjson reads no lone surrogates, and long integers as floats
    return text_of(attributes | json.loads(origin))


def canonical(value: Any) -> bytes:
    """Write what an id is made of: JSON, or Python's own notation when it holds lone surrogates."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return repr(value).encode("utf-8", "surrogatepass")
