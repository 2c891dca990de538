"""Langfuse: traces, observations and scores, as its API, its UI and its blob storage export write them.

langfuse.com/docs: `api-and-data-platform/features/blob-storage-export-fields` (snake_case rows), `evaluation/scores/
data-model` (NUMERIC, BOOLEAN, CATEGORICAL, TEXT; source ANNOTATION, EVAL, API), `observability/features/corrections`
(dataType CORRECTION). API objects: `fern/apis/server/definition/commons.yml` (camelCase).

**A trace is one interaction, its id is the trace's**, because that is what scores name; a score on an observation
belongs to its trace. A trace's own input and output count; where they cannot be read, its last generation's. In an
export of observations alone, a root observation or a generation speaks for its trace, the first that comes.
"""

import re
from collections.abc import Iterator
from typing import Any

from flywheel.components.intake.formats import free_form, named_score
from flywheel.components.intake.formats.fields import NotAnInteraction, first, kept, milliseconds, text, whole
from flywheel.components.intake.json_text import text_of
from flywheel.components.intake.ratings import RatingRule

_TYPES = ("SPAN", "GENERATION", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL")
_SCORE_TYPES = ("NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION")
_TRACE_SIGNS = {"html_path", "observations", "scores", "release", "public", "bookmarked", "project_id", "total_cost"}
_CAMEL_SIGNS = {"sessionId", "userId", "projectId", "htmlPath"}
_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_IO = ("input", "output", "metadata", "model_parameters", "usage_details", "cost_details", "usage")


def detect(row: dict[str, Any]) -> bool:
    """Whether a row is a trace, an observation or a score of Langfuse, or a download that holds them."""
    names = {_snake(name) for name in row}
    if "trace" in names and isinstance(row.get("trace"), dict):
        return "observations" in names or "scores" in names
    if _is_score(row) or _is_observation(row):
        return True
    if not {"id", "timestamp"} <= names or not names & {"input", "output"}:
        return False
    return bool(names & _TRACE_SIGNS or row.keys() & _CAMEL_SIGNS)


def units(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a trace, then its scores: each is a row of its own. Names become snake_case, JSON in text is parsed."""
    if isinstance(row.get("trace"), dict):  # the UI's download of one trace
        row = row["trace"] | {name: row[name] for name in ("observations", "scores") if name in row}
    row = {_snake(name): item for name, item in row.items()}
    for name in _IO:
        if name in row:
            row[name] = free_form.structure(row[name])
    scores = row.get("scores")
    nested = [one for one in scores if isinstance(one, dict)] if isinstance(scores, list) else []
    if nested and not _is_score(row):
        row = {name: item for name, item in row.items() if name != "scores"}
    yield row
    for one in nested if not _is_score(row) else []:
        score = {_snake(name): item for name, item in one.items()}
        yield {"trace_id": row.get("id"), "data_type": "NUMERIC"} | kept({"session_id": row.get("session_id")}) | score


def read(row: dict[str, Any], rule: RatingRule) -> dict[str, Any]:
    """Map a trace, an observation or a score to the fields of FeedbackRecord.

    Raises:
        NotAnInteraction: A trace or observation that holds no question.
        ValueError: A part cannot be read; the message names it.
    """
    row = {_snake(name): item for name, item in row.items()}
    if _is_score(row):
        return _score(row, rule)
    return _interaction(row, _is_observation(row))


def _interaction(row: dict[str, Any], observation: bool) -> dict[str, Any]:
    kind = str(row.get("type") or "")
    what = f"observation of type {kind}" if observation else "trace"
    if observation and kind != "GENERATION" and row.get("parent_observation_id"):
        raise NotAnInteraction(f"{what}: a step inside its trace")
    best = row
    messages, extra = free_form.question(row.get("input"))
    response = free_form.answer(row.get("output")) if row.get("output") is not None else None
    generation = _last_generation(row.get("observations"))
    if not messages and generation:
        best = generation
        messages, extra = free_form.question(best.get("input"))
        response = free_form.answer(best.get("output")) if best.get("output") is not None else None
    if not messages:
        raise NotAnInteraction(f"{what}: its input holds no question that can be read")
    rest = {name: item for name, item in row.items() if name not in ("input", "output", "latency", "end_time")}
    if response is None and best.get("output") is not None:
        rest["output"] = best["output"]
    metadata = rest.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    model = rest if observation else generation
    fields = {
        "interaction": text(first(rest, "trace_id") if observation else first(rest, "id")),
        "conversation": text(first(rest, "session_id")),
        "user": text(first(rest, "user_id")) or text(metadata.get("user_id")),
        "timestamp": first(rest, "start_time") if observation else first(rest, "timestamp", "created_at"),
        "model_version": text(first(model, "provided_model_name", "model", "model_id")) or text(rest.get("release")),
        "messages": messages,
        "response": response,
        "signals": _measured(row, row if observation else generation, observation),
        "source": "langfuse",
        "attributes": kept(rest | {"message_fields": extra}),
    }
    return kept(fields)


def _last_generation(observations: Any) -> dict[str, Any]:
    """Return the last generation with a question and an answer, or an empty object."""
    found: dict[str, Any] = {}
    for one in observations if isinstance(observations, list) else []:
        if not isinstance(one, dict) or one.get("type") != "GENERATION":
            continue
        named = {_snake(name): free_form.structure(item) for name, item in one.items()}
        readable = free_form.question(named.get("input"))[0] and free_form.answer(named.get("output")) is not None
        if readable and str(named.get("start_time")) >= str(found.get("start_time", "")):
            found = named
    return found


def _measured(row: dict[str, Any], model: dict[str, Any], observation: bool) -> dict[str, Any]:
    latency = milliseconds(row.get("start_time"), row.get("end_time")) if observation else None
    if latency is None and isinstance(row.get("latency"), int | float) and row["latency"] >= 0:
        latency = float(row["latency"]) * 1000  # both API and export give seconds
    tokens = None
    for holder in (model.get("usage_details"), model.get("usage")):
        if tokens is None and isinstance(holder, dict):
            tokens = whole(holder.get("output"))
    error = row.get("status_message") or "error" if row.get("level") == "ERROR" else None
    return kept({"latency_ms": latency, "tokens": tokens, "error": text(error)})


def _score(row: dict[str, Any], rule: RatingRule) -> dict[str, Any]:
    rest = dict(row)
    about = text(first(rest, "trace_id"))
    kind = str(first(rest, "data_type") or "NUMERIC").upper()
    if not about:
        raise NotAnInteraction(f"{kind} score on a session or a dataset run: it names no trace")
    name, source = first(rest, "name"), first(rest, "source")
    value = first(rest, "value")
    words = first(rest, "string_value", "long_string_value")
    who = named_score.annotator(None if source == "API" else source, str(name), rule)
    said = words if isinstance(words, str) else value if isinstance(value, str) else None
    comment = first(rest, "comment")
    rest.pop("author_user_id", None)  # the annotator's account, not the one who asked
    if kind == "CORRECTION":
        correction = said if said is not None else None if value is None else text_of(value)
        if not correction or not correction.strip():
            raise ValueError("score of type CORRECTION: no corrected output")
        who = named_score.KINDS.get(str(source).upper(), named_score.Annotator.USER)
        signals = {"correction": correction} | ({"comment": comment} if isinstance(comment, str) and comment else {})
        rest["name"] = name
    elif kind == "TEXT":
        signals = named_score.signals(name, None, None, said, who, rule)
    elif kind == "BOOLEAN":
        truth = _truth(value, said)
        signals = named_score.signals(name, truth, None if truth is not None else said, comment, who, rule)
    else:
        number = None if isinstance(value, str) and kind == "CATEGORICAL" else value
        signals = named_score.signals(name, number, said if kind == "CATEGORICAL" else None, comment, who, rule)
    rest.pop("user_id", None)
    return kept(
        {
            "interaction": about,
            "conversation": text(first(rest, "session_id")),
            "timestamp": first(rest, "timestamp", "created_at", "updated_at"),
            "signals": signals,
            "source": "langfuse",
            "annotator": who,
            "attributes": kept(rest | {"score_source": source, "data_type": kind}),
        }
    )


def _truth(value: Any, said: str | None) -> bool | None:
    word = str(said if value is None else value).strip().lower()
    return {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}.get(word)


def _is_score(row: dict[str, Any]) -> bool:
    names = {_snake(name) for name in row}
    kind = row.get("dataType", row.get("data_type"))
    typed = kind in _SCORE_TYPES
    return "name" in names and ("value" in names or "string_value" in names or "long_string_value" in names) and (
        typed or (bool(names & {"trace_id"}) and row.get("source") in ("API", "EVAL", "ANNOTATION"))
    )  # fmt: skip


def _is_observation(row: dict[str, Any]) -> bool:
    names = {_snake(name) for name in row}
    return row.get("type") in _TYPES and "trace_id" in names and "start_time" in names


def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda match: f"_{match.group(1)}", name).lower()
