"""From what was sent to what is written: scrubbed rows, scrubbed halves of inferences, scrubbed refusals.

A batch of requests is scrubbed in one pass. Nothing leaves this module that holds personal data as it came.
"""

import base64
import binascii
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from flywheel.components.intake import flat_record, timestamps
from flywheel.components.intake.draft import Draft, make_draft
from flywheel.components.intake.privacy.scrub import scrub_texts
from flywheel.components.intake.pseudonyms import Pseudonymizer
from flywheel.components.intake.quarantine import Refusal, unescaped
from flywheel.components.intake.reading import RawRow, parse_json
from flywheel.components.intake.records import ReadRecord, Refused, read_record
from flywheel.components.intake.service import cloud_events, inference_payload
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
        drafts = [self._draft(one, moment) for one in sent]
        texts: list[str] = []
        groups: list[int] = []
        ends: list[int] = []
        numbers: dict[str, int] = {}
        for number, draft in enumerate(drafts):
            mine = [*draft.texts(), draft.raw.file]
            # the halves of one inference share their placeholders when they come together
            group = numbers.setdefault(draft.interaction_id, number) if isinstance(draft, HalfDraft) else number
            texts += mine
            groups += [group] * len(mine)
            ends.append(len(texts))
        scrubbed = scrub_texts(texts, groups).texts
        page = Page()
        for draft, start, end in zip(drafts, [0, *ends], ends, strict=False):
            self._write(page, draft, scrubbed[start:end])
        return page

    def _draft(self, sent: Sent, now: datetime) -> Draft | HalfDraft | Refusal:
        label = f"/v1/{sent.route} {sent.sender}"
        raw = RawRow(label, 0, sent.size, now, value=sent.value, text=sent.text)
        if sent.reason:
            return Refusal(replace(raw, value=_kept(sent.value)), sent.reason, sent.detail)
        try:
            return self._half(raw, sent.value or {}, now) if sent.route == "events" else self._feedback(raw, now)
        except Refused as refused:
            kept = _kept(sent.value) if sent.route == "events" else sent.value
            return Refusal(replace(raw, value=kept), refused.reason, refused.detail)

    def _feedback(self, raw: RawRow, now: datetime) -> Draft:
        value = raw.value
        if value is None:
            raise Refused("not_json", "feedback is a JSON object")
        assumed = all(value.get(name) is None for name in ("timestamp", "time", "created_at", "created"))
        paired = isinstance(value.get("request"), dict) or "choices" in value
        given = value | {"timestamp": now.isoformat()} if assumed else value
        if not paired and value.get("source") is None:
            given = given | {"source": "api"}
        read = read_record(given, "openai" if paired else "feedback", now, now)
        read = replace(read, time_assumed=assumed)
        return make_draft(raw, read, self._safe_ids(_given_ids(read)), self._pseudonyms)

    def _half(self, raw: RawRow, event: dict[str, Any], now: datetime) -> HalfDraft:
        try:
            read = cloud_events.read(event)
        except cloud_events.EventError as error:
            raise Refused("invalid_event", str(error)) from error
        wrong = timestamps.problem(read.moment, now) if read.moment else None
        if wrong is not None:
            raise Refused(*wrong)
        if isinstance(read.data, dict) and not flat_record.consent(read.data):
            raise Refused("no_consent", "the user did not agree to the use of this inference; nothing of it is kept")
        payload: inference_payload.Request | inference_payload.Response
        try:
            if read.half == "request":
                payload = inference_payload.request(read.data, read.metadata)
            else:
                payload = inference_payload.response(read.data)
        except ValueError as error:
            raise Refused("unknown_payload", str(error)) from error
        conversation = payload.conversation if isinstance(payload, inference_payload.Request) else ""
        safe = self._safe_ids([text for text in (read.identity, conversation) if text])
        interaction_id = safe[read.identity]
        subject = ""
        if isinstance(payload, inference_payload.Request):
            talk = safe[conversation] if conversation else interaction_id
            person = f"user:{payload.user}" if payload.user else f"conversation:{talk}"
            subject = self._pseudonyms.of("subject", person)
        content = repr((read.half, payload)).encode("utf-8", "surrogatepass")
        digest = self._pseudonyms.of("half", content)
        return HalfDraft(raw, read, payload, interaction_id, safe.get(conversation, ""), subject, digest, now)

    def _safe_ids(self, given: list[str]) -> dict[str, str]:
        """Keep given ids; one that looks like personal data (an address as id) becomes a pseudonym."""
        clean = scrub_texts(given).texts
        return {
            text: text if text == safe else self._pseudonyms.of("given id", text)
            for text, safe in zip(given, clean, strict=True)
        }

    def _write(self, page: Page, draft: Draft | HalfDraft | Refusal, scrubbed: list[str]) -> None:
        parts, label = iter(scrubbed[:-1]), scrubbed[-1]
        if isinstance(draft, HalfDraft):
            page.entries.append(_line({"half": draft.entry(parts, label)}))
            page.answers.append(Written("accepted", draft.interaction_id))
            return
        if isinstance(draft, Refusal):
            row = draft.row(RUN_ID, parts, self._pseudonyms)
            page.reasons[draft.reason] += 1
            page.entries.append(_line({"quarantine": [row]}))
            page.answers.append(
                Written("quarantined", quarantine=row["quarantine_id"], reason=draft.reason, detail=row["detail"])
            )
            return
        rows = draft.rows(RUN_ID, parts, label)
        page.entries.append(
            _line({"interactions": [rows.interaction] if rows.interaction else [], "feedback": rows.feedback})
        )
        ids = tuple(row["feedback_id"] for row in rows.feedback)
        page.answers.append(Written("accepted", draft.interaction_id, ids))


def _given_ids(read: ReadRecord) -> list[str]:
    return [text for text in (read.record.interaction, read.record.conversation) if text]


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
