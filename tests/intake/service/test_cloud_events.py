"""The parsers take whatever comes: an event, or words that say why not."""

import base64
import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.intake.pseudonyms import Pseudonymizer
from flywheel.components.intake.service import cloud_events, inference_payload
from flywheel.components.intake.service.cloud_events import EventError
from flywheel.components.intake.service.scribe import Scribe, Sent

SCRIBE = Scribe(Pseudonymizer(b"k" * 32))
BASE = {"specversion": "1.0", "id": "i", "source": "s", "type": "org.kubeflow.serving.inference.request"}
QUESTION = {"messages": [{"role": "user", "content": "q"}]}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*BASE, "data", "data_base64", "time", "messages", "content", "role", "instances", "inputs",
                             "outputs", "choices", "message", "predictions", "prompt", "text", "usage", "metadata",
                             "consent", "user", "datatype", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)  # fmt: skip
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", *(f"ce-{name}" for name in (*BASE, "time", "metadata", "annotations", "x"))]),
    st.text(string.printable, max_size=30)
    | st.sampled_from(["1.0", "application/json", "application/cloudevents+json", *cloud_events.TYPES]),
    max_size=8,
)


@settings(deadline=None, max_examples=300)
@given(HEADERS, st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_parser_never_crashes(headers, body):
    try:
        events = cloud_events.parse(headers, body)
    except EventError as error:
        assert str(error)
        return
    assert events
    for event in events:
        try:
            read = cloud_events.read(event)
        except EventError as error:
            assert str(error)
        else:
            assert read.identity
            assert read.half in ("request", "response")


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from([*BASE, "data", "time", "metadata", "x"]), VALUES), VALUES, st.booleans())
def test_every_event_gets_an_entry_and_an_answer(changes, data, half):
    kind = {"type": f"org.kubeflow.serving.inference.{'response' if half else 'request'}"}
    sent = [Sent("events", "web", BASE | kind | {"data": data} | changes, 10), Sent("feedback", "web", changes, 10)]
    page = SCRIBE.page(sent)
    assert len(page.entries) == len(page.answers) == 2
    for entry, answer in zip(page.entries, page.answers, strict=True):
        assert b"\n" not in entry
        assert json.loads(entry).keys() & {"half", "quarantine", "interactions"}
        assert answer.status == "accepted" or (answer.reason and answer.detail)


@settings(deadline=None, max_examples=100)
@given(
    st.text(min_size=1, max_size=30).filter(str.strip),
    st.text(max_size=40),
    st.sampled_from(["binary", "structured", "base64"]),
)
def test_three_modes_say_the_same(identity, text, mode):
    data = {"messages": [{"role": "user", "content": text}]}
    event = BASE | {"id": identity}
    body = json.dumps(data).encode()
    if mode == "binary":
        quoted = "".join(f"%{byte:02X}" for byte in identity.encode("utf-8", "replace"))
        headers = {f"ce-{name}": value for name, value in event.items()} | {"ce-id": quoted, "content-type": "a/json"}
    elif mode == "structured":
        headers, body = {"content-type": "application/cloudevents+json"}, json.dumps(event | {"data": data}).encode()
    else:
        headers = {"content-type": "application/cloudevents+json; charset=utf-8"}
        body = json.dumps(event | {"data_base64": base64.b64encode(body).decode()}).encode()
    (found,) = cloud_events.parse(headers, body)
    read = cloud_events.read(found)
    assert read.data == data
    assert read.identity == identity


def test_stream_of_chunks_is_joined():
    chunks = [
        {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": part}}]} for part in ("14 ", "days")
    ]
    body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
    headers = {f"ce-{name}": value for name, value in BASE.items()} | {"content-type": "application/json"}
    (event,) = cloud_events.parse(headers, body)
    answer = inference_payload.response(cloud_events.read(event).data)
    assert (answer.answers[0].text, answer.model) == ("14 days", "m")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": "  "}, "id: missing"),
        ({"id": "x" * 513}, "512"),
        ({"source": None}, "source"),
        ({"type": "com.example"}, "org.kubeflow.serving.inference.request"),
        ({"time": "yesterday"}, "time: neither"),
        ({"data": None}, "data: missing"),
        ({"data_base64": "%"}, "data_base64"),
    ],
)
def test_words_name_the_attribute(change, words):
    with pytest.raises(EventError, match=words):
        cloud_events.read(BASE | {"data": QUESTION} | change)
    assert cloud_events.read(BASE | {"data": QUESTION}).data == QUESTION
