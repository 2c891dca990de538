"""What the OpenAPI pages say about the two routes: bodies with examples, answers."""

from typing import Any

_FEEDBACK: dict[str, Any] = {
    "type": "object",
    "description": "Feedback on an earlier interaction, or an interaction with its feedback (flywheel.feedback/v1); "
    "unknown fields are kept, scrubbed. Without a timestamp the time of arrival counts, and the same feedback sent "
    "twice counts once.",
    "properties": {
        "interaction": {"type": "string", "description": "Id of the interaction (the inference's CloudEvents id)"},
        "user": {"type": "string", "description": "Becomes a keyed pseudonym; never stored"},
        "conversation": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "rating": {"description": "-1, 0, 1, or up/down", "oneOf": [{"type": "integer"}, {"type": "string"}]},
        "correction": {"type": "string", "description": "What the answer should have been"},
        "comment": {"type": "string"},
        "implicit": {
            "type": "array",
            "items": {"enum": ["regenerate", "rephrase", "abandon", "copy", "click"]},
        },
        "consent": {"type": "boolean", "description": "false: nothing is kept but the id"},
        "messages": {"type": "array", "items": {"type": "object"}},
        "response": {"type": "string"},
    },
}
_RATING = {"interaction": "i-17", "user": "u-93", "rating": -1, "correction": "30 days.", "comment": "outdated"}
_EVENT = {
    "specversion": "1.0",
    "type": "org.kubeflow.serving.inference.request",
    "id": "i-17",
    "source": "http://assistant-predictor/",
    "time": "2026-11-20T09:30:00Z",
    "inferenceservicename": "assistant",
    "data": {"messages": [{"role": "user", "content": "What is the refund period?"}], "user": "u-93"},
}
FEEDBACK_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"oneOf": [_FEEDBACK, {"type": "array", "items": _FEEDBACK, "minItems": 1}]},
            "examples": {
                "one": {"value": _RATING},
                "batch": {"value": [_RATING, {"interaction": "i-18", "implicit": ["regenerate"]}]},
            },
        }
    },
}
EVENTS_BODY: dict[str, Any] = {
    "required": True,
    "description": "Structured mode, a batch of it, or binary mode (attributes in ce-* headers, data as the body)",
    "content": {
        "application/cloudevents+json": {"schema": {"type": "object"}, "example": _EVENT},
        "application/cloudevents-batch+json": {"schema": {"type": "array"}, "example": [_EVENT]},
        "application/json": {"schema": {"type": "object"}, "example": _EVENT["data"]},
    },
}
_WORDS = {
    202: "Durable: scrubbed, and on disk. Of a batch, `results` says what became of each event",
    400: "Not JSON, or no CloudEvent; a readable remainder is in quarantine",
    401: "No key or token, or not a valid one",
    403: "The key does not open this route",
    408: "The body did not come whole within 20 seconds",
    413: "Body or batch too large",
    415: "The body is compressed",
    422: "Nothing of it can be used; it is in quarantine, scrubbed, and `detail` says what is wrong",
    429: "No room, or too fast: come back after Retry-After seconds",
    503: "Not durable, or stopping: send again after Retry-After seconds",
}
ANSWERS: dict[int | str, dict[str, Any]] = {status: {"description": words} for status, words in _WORDS.items()}
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"key": []}, {"basic": []}]
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a token of the OIDC issuer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "basic": {"type": "http", "scheme": "basic", "description": "Key id and key, as a URL can hold them"},
}
