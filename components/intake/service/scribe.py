"""From what was sent to what is written: scrubbed rows, scrubbed halves of inferences, scrubbed refusals.

A batch of requests is scrubbed in one pass. Nothing leaves this module that holds personal data as it came.
"""

import base64
import binascii
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import orjson

from flywheel.components.contracts.feedback import Annotator
from flywheel.components.intake import timestamps
from flywheel.components.intake.draft import Draft
from flywheel.components.intake.formats import flat_record
from flywheel.components.intake.given_ids import safe_ids
from flywheel.components.intake.json_text import parse_json
from flywheel.components.intake.privacy.scrub import scrub_texts
from flywheel.components.intake.pseudonyms import Pseudonymizer
from flywheel.components.intake.quarantine import Refusal, unescaped
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.intake.record_draft import make_draft
from flywheel.components.intake.records import ReadRecord, Refused, read_record
from flywheel.components.intake.service import cloud_events, inference_payload
from flywheel.components.intake.service.cloud_events import InferenceEvent
from flywheel.components.intake.service.half import HalfDraft

RUN_ID = "serve-intake"


@dataclass(frozen=True)
class Sent:
    """One event as it came: raw, in memory only."""

    route: Literal["events", "feedback"]
    sender: str
    value: dict[str, Any] | None  # feedback: an object; events: a CloudEvent; None: unreadable, see `text`
    size: int  # bytes
    text: str = ""
    reason: str = ""  # already known to be bad: reason code and words
    detail: str = ""


@dataclass(frozen=True)
class Written:
    """What becomes of an event once its entry is durable."""

    status: Literal["accepted", "quarantined"]
    interaction: str = ""
    feedback: tuple[str, ...] = ()
    quarantine: str = ""
    reason: str = ""
    detail: str = ""

    def answer(self) -> dict[str, Any]:
        """Return the fields for the sender, those that say something."""
        fields = {
            "status": self.status,
            "interaction": self.interaction,
            "feedback": self.feedback,
            "quarantine": self.quarantine,
            "reason": self.reason,
            "detail": self.detail,
        }
        return {name: value for name, value in fields.items() if value}


@dataclass
class Page:
    """Entries for the segment, one JSON line each, and what to answer, in the order of what was sent."""

    entries: list[bytes] = field(default_factory=list)
    answers: list[Written] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


class Scribe:
    """Makes pages; holds the key and nothing else."""

    def __init__(self, pseudonyms: Pseudonymizer) -> None:
        self._pseudonyms = pseudonyms

    def page(self, sent: Sequence[Sent], now: datetime | None = None) -> Page:
        """Make the page of a batch.

        Args:
            sent: Events, each of which gets an entry and an answer.
            now: Time of reading; None for the clock.
        """
        moment = now or datetime.now(UTC)
        readings = [self._read(one, moment) for one in sent]
        given = [text for one in readings if isinstance(one, _Reading) for text in one.given_ids()]
        safe = safe_ids(given, self._pseudonyms)
        drafts = [one if isinstance(one, Refusal) else self._draft(one, safe, moment) for one in readings]
        texts: list[str] = []
        groups: list[int] = []
        keys: list[bytes] = []
        ends: list[int] = []
        numbers: dict[str, int] = {}
        for number, draft in enumerate(drafts):
            mine = draft.texts()
            # the halves of one inference share their placeholders when they come together
            group = numbers.setdefault(draft.interaction_id, number) if isinstance(draft, HalfDraft) else number
            texts += mine
            groups += [group] * len(mine)
            keys += [draft.placeholder_key(self._pseudonyms) if isinstance(draft, Draft) else b""] * len(mine)
            ends.append(len(texts))
        scrubbed = scrub_texts(texts, groups, keys=keys).texts
        page = Page()
        for draft, start, end in zip(drafts, [0, *ends], ends, strict=False):
            self._write(page, draft, iter(scrubbed[start:end]))
        return page

    def _read(self, sent: Sent, now: datetime) -> "_Reading | Refusal":
        raw = RawRow(f"/v1/{sent.route} {sent.sender}", 0, sent.size, now, value=sent.value, text=sent.text)
        if sent.reason:
            return Refusal(msgspec.structs.replace(raw, value=_kept(sent.value)), sent.reason, sent.detail)
        try:
            if sent.route == "feedback":
                return _Reading(raw, _feedback(sent.value or {}, now))
            return _Reading(raw, None, *_inference(sent.value or {}, now))
        except Refused as refused:
            kept = _kept(sent.value) if sent.route == "events" else sent.value
            return Refusal(msgspec.structs.replace(raw, value=kept), refused.reason, refused.detail)

    def _draft(self, reading: "_Reading", safe: dict[str, str], now: datetime) -> Draft | HalfDraft:
        raw, event, payload = reading.raw, reading.event, reading.payload
        if reading.record is not None:
            return make_draft(raw, reading.record, safe, self._pseudonyms)
        assert event is not None
        assert payload is not None
        interaction_id, conversation_id, subject = safe[event.identity], "", ""
        if isinstance(payload, inference_payload.Request):
            conversation_id = safe.get(payload.conversation, "")
            person = f"user:{payload.user}" if payload.user else f"conversation:{conversation_id or interaction_id}"
            subject = self._pseudonyms.of("subject", person)
        content = repr((event.half, payload)).encode("utf-8", "surrogatepass")
        digest = self._pseudonyms.of("half", content)
        return HalfDraft(raw, event, payload, interaction_id, conversation_id, subject, digest, now)

    def _write(self, page: Page, draft: Draft | HalfDraft | Refusal, scrubbed: Iterator[str]) -> None:
        if isinstance(draft, HalfDraft):
            page.entries.append(_line({"half": draft.entry(scrubbed, draft.raw.file)}))
            page.answers.append(Written("accepted", draft.interaction_id))
            return
        if isinstance(draft, Refusal):
            row = draft.row(RUN_ID, scrubbed, self._pseudonyms)
            page.reasons[draft.reason] += 1
            page.entries.append(_line({"quarantine": [row]}))
            page.answers.append(
                Written("quarantined", quarantine=row["quarantine_id"], reason=draft.reason, detail=row["detail"])
            )
            return
        rows = draft.rows(RUN_ID, list(scrubbed), draft.raw.file)
        page.entries.append(
            _line(
                {
                    "interactions": rows.interactions(),
                    "feedback": rows.feedback(),
                }
            )
        )
        ids = tuple(signal.feedback_id for signal in draft.signals)
        page.answers.append(Written("accepted", draft.interaction_id, ids))


@dataclass(frozen=True)
class _Reading:
    """A good event, read: a feedback record, or one half of an inference."""

    raw: RawRow
    record: ReadRecord | None
    event: InferenceEvent | None = None
    payload: inference_payload.Request | inference_payload.Response | None = None

    def given_ids(self) -> list[str]:
        """Return the ids that the sender gave."""
        if self.record is not None:
            return [text for text in (self.record.record.interaction, self.record.record.conversation) if text]
        talk = self.payload.conversation if isinstance(self.payload, inference_payload.Request) else ""
        return [text for text in (self.event.identity if self.event else "", talk) if text]


def _feedback(value: dict[str, Any], now: datetime) -> ReadRecord:
    assumed = all(value.get(name) is None for name in ("timestamp", "time", "created_at", "created"))
    paired = isinstance(value.get("request"), dict) or "choices" in value
    given = value | {"timestamp": now.isoformat()} if assumed else value
    if not paired and value.get("source") is None:
        given = given | {"source": "api"}
    read = read_record(given, "openai" if paired else "feedback", now, now)
    # A sender cannot make itself a reviewer, whom curation would trust more.
    return replace(read, time_assumed=assumed, annotator=Annotator.USER)


def _inference(
    value: dict[str, Any], now: datetime
) -> tuple[InferenceEvent, inference_payload.Request | inference_payload.Response]:
    try:
        event = cloud_events.read(value)
    except cloud_events.EventError as error:
        raise Refused("invalid_event", str(error)) from error
    wrong = timestamps.problem(event.moment, now) if event.moment else None
    if wrong is not None:
        raise Refused(*wrong)
    if isinstance(event.data, dict) and not flat_record.consent(event.data):
        raise Refused("no_consent", "the user did not agree to the use of this inference; nothing of it is kept")
    try:
        if event.half == "request":
            return event, inference_payload.request(event.data, event.metadata)
        return event, inference_payload.response(event.data)
    except ValueError as error:
        raise Refused("unknown_payload", str(error)) from error


def _kept(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what a refusal keeps of a value: data decoded, because encodings hide personal data from any pattern."""
    if value is None:
        return None
    data: Any = value.get("data_bytes", value.get("data"))
    if isinstance(value.get("data_base64"), str):
        try:
            data = base64.b64decode(value["data_base64"])
        except binascii.Error:
            data = value["data_base64"]
    kept = {name: item for name, item in value.items() if name not in ("data_bytes", "data_base64", "metadata")}
    if isinstance(data, bytes | str):
        try:
            data = parse_json(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
        except ValueError:
            data = unescaped(data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else data)
    return kept if data is None else kept | {"data": data}


def _line(entry: dict[str, Any]) -> bytes:
    return orjson.dumps(entry, option=orjson.OPT_NON_STR_KEYS)
