"""One half of an inference on its way: scrubbed like any row, waiting for the other half, then one interaction."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from flywheel.components.intake.draft import UNKNOWN_LANGUAGE
from flywheel.components.intake.pseudonyms import Pseudonymizer
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.intake.scrubbed_json import collect, rebuild
from flywheel.components.intake.service.cloud_events import InferenceEvent
from flywheel.components.intake.service.inference_payload import Request, Response
from flywheel.components.store.tables import SCHEMAS

SOURCE = "kserve-logger"


@dataclass(frozen=True)
class HalfDraft:
    """A half whose ids are known and whose texts are not scrubbed yet. Never written as it is."""

    raw: RawRow
    event: InferenceEvent
    payload: Request | Response
    interaction_id: str
    conversation_id: str  # "": a response, or a request that names none
    subject: str  # "": a response
    digest: str  # keyed, of the raw content
    received: datetime

    def texts(self) -> list[str]:
        """Return all free text for scrubbing, in the order that `entry` takes it back."""
        texts = [self.payload.model]
        collect(self.event.origin, texts)
        if isinstance(self.payload, Request):
            for question in self.payload.questions:
                texts += [message["content"] for message in question.messages]
                collect(question.extra, texts)
        else:
            for answer in self.payload.answers:
                texts.append(answer.text)
                collect(answer.extra, texts)
        return texts

    def entry(self, scrubbed: Iterator[str], label: str) -> dict[str, Any]:
        """Make the waiting half from the scrubbed texts; `label` names route and sender."""
        model = next(scrubbed)
        origin = rebuild(self.event.origin, scrubbed)
        items: list[dict[str, Any]] = []
        tokens = None
        if isinstance(self.payload, Request):
            for question in self.payload.questions:
                messages = [{"role": one["role"], "content": next(scrubbed)} for one in question.messages]
                items.append({"messages": messages, "extra": rebuild(question.extra, scrubbed)})
        else:
            tokens = self.payload.tokens
            for answer in self.payload.answers:
                items.append({"text": next(scrubbed), "extra": rebuild(answer.extra, scrubbed)})
        return {
            "id": self.interaction_id,
            "half": self.event.half,
            "digest": self.digest,
            "received": self.received.isoformat(),
            "time": self.event.moment.isoformat() if self.event.moment else None,
            "conversation": self.conversation_id,
            "subject": self.subject,
            "model": model,
            "tokens": tokens,
            "items": items,
            "origin": origin,
            "label": label,
        }


def interactions(
    request: dict[str, Any], response: dict[str, Any], run_id: str, pseudonyms: Pseudonymizer
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Join two halves into rows: an interaction per question, and what the halves themselves measured.

    An inference of one question keeps its id; of several, question k becomes `ID.k`.

    Args:
        request: Entry of the request.
        response: Entry of the response.
        run_id: Run that writes.
        pseudonyms: The store's keyed hash.

    Returns:
        Rows for `interactions` and for `feedback`.

    Raises:
        ValueError: The numbers of questions and answers differ.
    """
    if len(request["items"]) != len(response["items"]):
        raise ValueError(f"{len(request['items'])} questions and {len(response['items'])} answers")
    moment = datetime.fromisoformat(request["time"] or request["received"])
    asked, said = [], []
    several = len(request["items"]) > 1
    for index, (question, answer) in enumerate(zip(request["items"], response["items"], strict=True)):
        interaction_id = f"{request['id']}.{index}" if several else request["id"]
        content = pseudonyms.of("content", f"{request['digest']} {response['digest']} {index}")
        questions = [message["content"] for message in question["messages"] if message["role"] == "user"]
        intake: dict[str, Any] = {"file": request["label"], "line": 0, "format": "kserve-logger", "content": content}
        intake["halves"] = [request["digest"], response["digest"]]
        attributes = {
            "inference": request["origin"],
            **({"request": question["extra"]} if question["extra"] else {}),
            **({"response": answer["extra"]} if answer["extra"] else {}),
            "intake": intake,
        }
        shared = {"subject": request["subject"], "timestamp": moment, "source": SOURCE, "run_id": run_id}
        asked.append(
            shared
            | {
                "interaction_id": interaction_id,
                "conversation_id": request["conversation"] or interaction_id,
                "model_version": response["model"] or request["model"],
                "messages": orjson.dumps(question["messages"]).decode(),
                "prompt": questions[-1] if questions else "",
                "response": answer["text"],
                "language": UNKNOWN_LANGUAGE,
                "consent": True,
                "attributes": orjson.dumps(attributes).decode(),
            }
        )
        for name, value in _measured(request, response, several):
            said.append(
                shared
                | {
                    "feedback_id": pseudonyms.of("feedback", f"{interaction_id} automated {name}"),
                    "interaction_id": interaction_id,
                    "kind": "automated",
                    "annotator": "code",
                    "name": name,
                    "value": value,
                    "text": None,
                    "attributes": orjson.dumps({"intake": intake}).decode(),
                }
            )
    assert all(row.keys() == set(SCHEMAS["interactions"].names) for row in asked)
    return asked, said


def _measured(request: dict[str, Any], response: dict[str, Any], several: bool) -> Iterator[tuple[str, float]]:
    if several:
        return  # time and tokens are those of the whole batch
    if request["time"] and response["time"]:
        passed = datetime.fromisoformat(response["time"]) - datetime.fromisoformat(request["time"])
        if passed.total_seconds() >= 0:
            yield "latency_ms", passed.total_seconds() * 1000
    if response["tokens"] is not None:
        yield "tokens", float(response["tokens"])
