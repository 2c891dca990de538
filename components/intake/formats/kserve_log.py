"""KServe's payload logger in files: CloudEvents as structured JSON, request and response of an inference by one id.

kserve `pkg/logger` and CloudEvents 1.0 (JSON format). The events are read by the same code as the intake service's
(`service/cloud_events.py`, `service/inference_payload.py`). The two halves come in any order and in any file; `halves.
HalfJoiner` puts them together, and an inference of several instances becomes as many rows.
"""

from collections.abc import Iterator
from typing import Any

from flywheel.components.intake.formats import flat_record
from flywheel.components.intake.formats.fields import NoConsent, kept
from flywheel.components.intake.ratings import RatingRule
from flywheel.components.intake.service import cloud_events, inference_payload

PAIR = "kserve_inference"  # key of a row that holds both halves


def detect(row: dict[str, Any]) -> bool:
    """Whether a row is an event of the payload logger, or a pair of them."""
    kind = row.get("type")
    return PAIR in row or (row.get("specversion") is not None and isinstance(kind, str) and kind in cloud_events.TYPES)


def units(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield an event with its data decoded: what base64 and JSON in text hold must be seen by the scrubbing."""
    if PAIR in row or not ("data_base64" in row or isinstance(row.get("data"), str)):
        yield row
        return
    rest = {name: item for name, item in row.items() if name not in ("data", "data_base64")}
    try:
        yield rest | {"data": cloud_events.read(row).data}
    except cloud_events.EventError as error:
        # The data is not kept: its encoding would hide what it holds from the scrubbing.
        yield rest | {"unreadable": str(error)}


def half_of(row: dict[str, Any]) -> tuple[str, str] | None:
    """Return id and kind ("request", "response") of one half of an inference; None for any other row."""
    identity, kind = row.get("id"), row.get("type")
    if not isinstance(identity, str) or not isinstance(kind, str) or "unreadable" in row:
        return None
    half = cloud_events.TYPES.get(kind)
    return (identity, half) if half and identity.strip() else None


def inferences(request: dict[str, Any], response: dict[str, Any]) -> list[dict[str, Any]]:
    """Put two halves together: a row per question, one for an inference whose payload cannot be read."""
    pair = {"request": request, "response": response}
    try:
        event = cloud_events.read(request)
        several = len(inference_payload.request(event.data, event.metadata).questions)
    except ValueError:
        several = 1
    return [{PAIR: pair | ({"index": index} if several > 1 else {})} for index in range(several)]


def read(row: dict[str, Any], rule: RatingRule) -> dict[str, Any]:
    """Map an inference to the fields of FeedbackRecord.

    Raises:
        NoConsent: The request says that it may not be used.
        ValueError: A half is missing or cannot be read; the message says which.
    """
    del rule  # the logger knows no feedback
    pair = row.get(PAIR)
    if not isinstance(pair, dict):
        if "unreadable" in row:
            raise ValueError(str(row["unreadable"]))
        cloud_events.read(row)
        raise ValueError("one half of an inference; its other half is not in these logs")
    request, response = cloud_events.read(pair["request"]), cloud_events.read(pair["response"])
    if isinstance(request.data, dict) and not flat_record.consent(request.data):
        raise NoConsent
    asked = inference_payload.request(request.data, request.metadata)
    said = inference_payload.response(response.data)
    if len(asked.questions) != len(said.answers):
        raise ValueError(f"the inference has {len(asked.questions)} questions and {len(said.answers)} answers")
    several = len(asked.questions) > 1
    index = pair.get("index", 0)
    question, answer = asked.questions[index], said.answers[index]
    measured: dict[str, Any] = {}
    if not several:  # time and tokens are those of the whole batch
        if request.moment and response.moment and response.moment >= request.moment:
            measured["latency_ms"] = (response.moment - request.moment).total_seconds() * 1000
        measured["tokens"] = said.tokens
    return kept(
        {
            "interaction": f"{request.identity}.{index}" if several else request.identity,
            "conversation": asked.conversation,
            "user": asked.user,
            "timestamp": request.moment or response.moment,
            "model_version": said.model or asked.model,
            "messages": question.messages,
            "response": answer.text,
            "signals": kept(measured),
            "source": "kserve-logger",
            "attributes": kept({"inference": request.origin, "request": question.extra, "response": answer.extra}),
        }
    )
