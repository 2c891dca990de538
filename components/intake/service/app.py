"""The routes of the intake service."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import orjson
from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from flywheel.components import images
from flywheel.components.intake.json_text import parse_json
from flywheel.components.intake.service import cloud_events, documents
from flywheel.components.intake.service.authentication import Sender
from flywheel.components.intake.service.direct_routes import DirectRoutes
from flywheel.components.intake.service.parts import Parts
from flywheel.components.intake.service.refusals import Denied
from flywheel.components.intake.service.scribe import Sent, Written

Route = Literal["events", "feedback"]
_KEPT_OF_BAD_BODY = 20_000  # bytes


def make_app(parts: Parts) -> FastAPI:
    """Build the application around its parts; their life is the application's."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await parts.start()
        try:
            yield
        finally:
            await parts.stop()

    app = FastAPI(title="Feedback intake", version=images.VERSION, lifespan=life, description=__doc__)
    _describe(app)
    words: dict[str, Any] = {"status_code": 202, "responses": documents.ANSWERS}

    @app.post(
        "/v1/events",
        **words,
        openapi_extra={"requestBody": documents.EVENTS_BODY, "security": documents.SECURITY},
        summary="CloudEvents of KServe's payload logger",
    )
    async def events(request: Request) -> Response:
        """Take on requests and responses of inferences; the two halves of an id are joined, whichever comes first."""
        return await _answered(parts, "events", request, _read_events)

    @app.post(
        "/v1/feedback",
        **words,
        openapi_extra={"requestBody": documents.FEEDBACK_BODY, "security": documents.SECURITY},
        summary="Ratings, corrections, comments and implicit events",
    )
    async def feedback(request: Request) -> Response:
        """Take on feedback, one object or an array."""
        return await _answered(parts, "feedback", request, _read_feedback)

    app.add_middleware(DirectRoutes, handlers={"/v1/events": events, "/v1/feedback": feedback})

    @app.get("/healthz", summary="Whether the process works")
    async def healthz() -> Response:
        """Answer 200 as long as events can be made durable at all."""
        return _json(200, {"status": "ok"}) if parts.alive else _json(500, {"status": "the committer has ended"})

    @app.get("/readyz", summary="Whether events are welcome")
    async def readyz() -> Response:
        """Answer 503 while stopping, or while the disk refuses; the store may be away: segments are for that."""
        problem = parts.problem
        store = parts.mover.error or "reachable"
        return _json(503 if problem else 200, {"status": problem or "ready", "store": store})

    @app.get("/metrics", summary="Prometheus", response_class=Response)
    async def metrics() -> Response:
        """Return the metrics."""
        parts.measure()
        return Response(parts.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return app


async def _answered(
    parts: Parts, route: Route, request: Request, read: Callable[[Request, bytes, Sender], list[Sent]]
) -> Response:
    began = time.perf_counter()
    counts = parts.metrics.events
    try:
        sender = await parts.authenticator.sender(request.headers, route)
        _take(parts, sender, 1)
        body = await parts.admission.body(request)
        try:
            sent = read(request, body, sender)
            limit = parts.settings.limits.batch_items
            if len(sent) > limit:
                raise Denied(413, "batch_too_large", f"{len(sent)} events; at most {limit} in one request")
            if len(sent) > 1:
                _take(parts, sender, len(sent) - 1)
            written = await parts.commit.submit(sent)
        finally:
            parts.admission.release(len(body))
    except Denied as denied:
        counts.labels(route, denied.outcome).inc()
        return _refusal(denied)
    else:
        good = sum(_welcome(one) for one in written)
        counts.labels(route, "accepted").inc(good)
        counts.labels(route, "rejected").inc(len(written) - good)
        return _answer(written, good)
    finally:
        parts.metrics.duration.labels(route).observe(time.perf_counter() - began)


def _take(parts: Parts, sender: Sender, events: int) -> None:
    rate, burst = (sender.rate, sender.burst) if sender.rate else (parts.settings.limits.rate, 0.0)
    parts.rates.take(sender.name, rate, burst, events)


def _read_feedback(request: Request, body: bytes, sender: Sender) -> list[Sent]:
    try:
        body.decode()
        value = parse_json(body)
    except UnicodeDecodeError as error:
        return [_bad("feedback", sender, body, "bad_encoding", f"not UTF-8 at byte {error.start}")]
    except ValueError as error:
        return [_bad("feedback", sender, body, "not_json", str(error))]
    if isinstance(value, dict):
        return [Sent("feedback", sender.name, value, len(body))]
    if not isinstance(value, list) or not value:
        return [_bad("feedback", sender, body, "not_json", "send a JSON object, or an array of at least one")]
    size = len(body) // len(value)
    return [
        Sent("feedback", sender.name, one, size)
        if isinstance(one, dict)
        else _bad("feedback", sender, orjson.dumps(one), "not_json", "an item of the array is not an object")
        for one in value
    ]


def _read_events(request: Request, body: bytes, sender: Sender) -> list[Sent]:
    try:
        found = cloud_events.parse(request.headers, body)
    except cloud_events.EventError as error:
        return [_bad("events", sender, body, "not_cloudevent", str(error))]
    size = len(body) // len(found)
    return [Sent("events", sender.name, one, size) for one in found]


def _bad(route: Route, sender: Sender, body: bytes, reason: str, detail: str) -> Sent:
    text = body[:_KEPT_OF_BAD_BODY].decode("utf-8", "surrogateescape")
    return Sent(route, sender.name, None, len(body), text, reason, detail)


def _welcome(one: Written) -> bool:
    """Whether the sender did nothing wrong: a record without consent was sent rightly, and rightly not kept."""
    return one.status == "accepted" or one.reason == "no_consent"


def _answer(written: list[Written], good: int) -> Response:
    if len(written) == 1:
        (one,) = written
        if _welcome(one):
            return _json(202, one.answer())
        status = 400 if one.reason in ("not_json", "bad_encoding", "not_cloudevent") else 422
        return _json(status, {"error": one.reason, "detail": one.detail, "quarantine": one.quarantine})
    document = {
        "accepted": good,
        "quarantined": sum(one.status == "quarantined" for one in written),
        "results": [one.answer() for one in written],
    }
    return _json(202 if good else 422, document)


def _refusal(denied: Denied) -> Response:
    headers = {}
    if denied.retry_after:
        headers["Retry-After"] = str(denied.retry_after)
    if denied.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="flywheel-intake"'
    return _json(denied.status, {"error": denied.reason, "detail": denied.detail}, headers)


def _json(status: int, document: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), status, headers, "application/json")


def _describe(app: FastAPI) -> None:
    make: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        document.setdefault("components", {})["securitySchemes"] = documents.SCHEMES
        return document

    app.openapi = openapi  # type: ignore[method-assign]
