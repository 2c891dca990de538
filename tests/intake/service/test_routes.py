"""What senders see: answers, joining, scrubbing, quarantine."""

import json

import pytest

pytestmark = pytest.mark.slow

STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


def binary(event):
    names = ("specversion", "id", "source", "type", "inferenceservicename", "metadata", "time")
    return {f"ce-{name}": event[name] for name in names if name in event} | {"content-type": "application/json"}


def test_feedback_is_scrubbed_before_it_is_on_disk_and_moved(start):
    service = start("--move-seconds", "600")
    said = {"interaction": "i-1", "user": "bob@x.org", "rating": -1, "correction": "write to bob@x.org", "stars": 3}
    status, answer, _ = service.post("/v1/feedback", said)
    assert status == 202
    assert answer["status"] == "accepted"
    assert len(answer["feedback"]) == 2
    on_disk = b"".join(path.read_bytes() for path in service.files())
    assert answer["feedback"][0].encode() in on_disk
    assert b"bob@x.org" not in on_disk
    assert service.metric("flywheel_intake_unmoved_bytes") > 0
    assert service.stop() == 0
    rows = service.rows("feedback")
    assert {row["feedback_id"] for row in rows} == set(answer["feedback"])
    assert {row["text"] for row in rows} == {None, "write to [EMAIL_1]"}
    assert all(json.loads(row["attributes"])["stars"] == 3 for row in rows)
    assert service.files() == []


def test_the_same_feedback_twice_counts_once_and_a_batch_says_what_became_of_each(start):
    service = start("--move-seconds", "0.1")
    one = {"interaction": "i-1", "implicit": ["regenerate"]}
    first = service.post("/v1/feedback", one)[1]
    status, answer, _ = service.post("/v1/feedback", [one, {"interaction": "i-2", "comment": "good"}, {"rating": 1}, 7])
    assert status == 202
    assert [item["status"] for item in answer["results"]] == ["accepted", "accepted", "quarantined", "quarantined"]
    assert (answer["accepted"], answer["quarantined"]) == (2, 2)
    assert answer["results"][0]["feedback"] == first["feedback"]
    assert answer["results"][2]["reason"] == "invalid_record"
    assert service.stop() == 0
    assert len(service.rows("feedback")) == 2
    assert {row["reason"] for row in service.rows("quarantine")} == {"invalid_record", "not_json"}


@pytest.mark.parametrize("order", [("request", "response"), ("response", "request")])
def test_halves_are_joined_whichever_comes_first(start, event, order):
    service = start("--move-seconds", "0.1")
    times = {"request": "2026-11-20T09:30:00Z", "response": "2026-11-20T09:30:01.5Z"}
    metadata = json.dumps({"X-User-Id": ["u-93"]})
    for half in order:
        one = event(half, time=times[half], inferenceservicename="assistant", metadata=metadata)
        assert service.post("/v1/events", json.dumps(one["data"]).encode(), binary(one))[0] == 202
        moved = service.metric("flywheel_intake_group_events_count")
        assert moved == order.index(half) + 1
        if half == order[0]:  # the other half is late: this one was moved already
            service.until(lambda: service.metric("flywheel_intake_waiting_halves_bytes") > 0)
    service.until(lambda: service.metric("flywheel_intake_moved_rows_total", table="interactions") == 1)
    service.post("/v1/feedback", {"interaction": "inf-1", "user": "u-93", "rating": 1})
    assert service.stop() == 0
    (row,) = service.rows("interactions")
    assert (row["interaction_id"], row["prompt"], row["response"], row["model_version"]) == (
        "inf-1", "What is the refund period?", "14 days.", "m",
    )  # fmt: skip
    assert json.loads(row["attributes"])["inference"]["inferenceservicename"] == "assistant"
    feedback = {said["name"]: said for said in service.rows("feedback")}
    assert feedback["latency_ms"]["value"] == 1500
    assert feedback["rating"]["interaction_id"] == "inf-1"
    assert feedback["rating"]["subject"] == row["subject"]  # the same person
    assert service.files() == []


def test_structured_batch_holds_both_halves_and_several_instances(start, event):
    service = start("--move-seconds", "0.1")
    halves = [
        event("request", "b", {"instances": ["one?", {"prompt": "two? ask ann@y.org"}]}),
        event("response", "b", {"predictions": ["1", {"text": "2, says ann@y.org"}]}),
        event("request", "v2", {"inputs": [{"name": "t", "datatype": "BYTES", "shape": [1], "data": ["three?"]}]}),
        event("response", "v2", {"outputs": [{"name": "t", "datatype": "BYTES", "shape": [1], "data": ["3"]}]}),
    ]
    status, answer, _ = service.post("/v1/events", halves, BATCH)
    assert status == 202
    assert answer["accepted"] == 4
    assert service.stop() == 0
    rows = {row["interaction_id"]: (row["prompt"], row["response"]) for row in service.rows("interactions")}
    assert rows == {
        "b.0": ("one?", "1"),
        "b.1": ("two? ask [EMAIL_1]", "2, says [EMAIL_1]"),
        "v2": ("three?", "3"),
    }


def test_bad_feedback_is_told_what_is_wrong(start):
    service = start("--move-seconds", "0.1")
    bad = [
        (b'{"rat', {}, 400, "not_json"),
        (b'{"a":"\xff"}', {}, 400, "bad_encoding"),
        (b"[]", {}, 400, "not_json"),
        (b'{"interaction":"i"}', {}, 422, "invalid_record"),
        (b'{"interaction":"i","rating":7}', {}, 422, "invalid_record"),
        (b'{"interaction":"i","rating":1,"timestamp":"2099-01-01"}', {}, 422, "timestamp_in_future"),
        (b"{}", {"content-encoding": "gzip"}, 415, "compressed"),
    ]
    kept = {}
    for body, headers, status, reason in bad:
        found, answer, _ = service.post("/v1/feedback", body, headers)
        assert (found, answer["error"]) == (status, reason), body
        assert answer["detail"]
        kept |= {answer["quarantine"]: reason} if status != 415 else {}
    assert service.metric("flywheel_intake_events_total", route="feedback", outcome="rejected") == len(bad)
    assert service.stop() == 0
    assert {row["quarantine_id"]: row["reason"] for row in service.rows("quarantine")} == kept
    assert len(kept) == len(bad) - 1


def test_bad_events_are_quarantined_scrubbed(start, event):
    service = start("--move-seconds", "0.1")
    text = {"messages": "call +49 170 1234567, carol@z.org"}
    bad = [
        (json.dumps(event("request", data=text)).encode(), STRUCTURED, 422, "unknown_payload"),
        (json.dumps(event("request") | {"id": ""}).encode(), STRUCTURED, 422, "invalid_event"),
        (json.dumps(event("request") | {"type": "org.example"}).encode(), STRUCTURED, 422, "invalid_event"),
        (b'{"mail": "carol@z.org"', STRUCTURED, 400, "not_cloudevent"),
        (b"{}", {}, 400, "not_cloudevent"),
        (b'"\\u0063arol\\u0040z.org', binary(event("request")), 422, "invalid_event"),
        (json.dumps(event("response") | {"data_base64": "Y2Fyb2xAei5vcmc=", "data": None}).encode(), STRUCTURED, 422,
         "invalid_event"),
    ]  # fmt: skip
    for body, headers, status, reason in bad:
        found, answer, _ = service.post("/v1/events", body, headers)
        assert (found, answer["error"]) == (status, reason), body
    assert service.stop() == 0
    rows = service.rows("quarantine")
    assert len(rows) == len(bad)
    kept = json.dumps(rows)
    for secret in ("carol", "1234567", "Y2Fyb2x"):
        assert secret not in kept
    assert kept.count("[EMAIL_1]") == 4


def test_without_consent_nothing_is_kept(start, event):
    service = start("--move-seconds", "0.1")
    status, answer, _ = service.post("/v1/feedback", {"interaction": "i", "comment": "my secret", "consent": False})
    assert (status, answer["reason"]) == (202, "no_consent")
    one = event("request", data={"messages": [{"role": "user", "content": "my secret"}], "metadata": {"consent": "no"}})
    assert service.post("/v1/events", one, STRUCTURED)[1]["reason"] == "no_consent"
    assert service.stop() == 0
    assert "my secret" not in json.dumps(service.rows("quarantine"))
    assert service.rows("feedback") == []


def test_lonely_and_conflicting_halves_are_kept_with_a_reason(start, event):
    service = start("--move-seconds", "0.1", "--join-seconds", "0.5")
    service.post("/v1/events", event("request", "alone"), STRUCTURED)
    service.post("/v1/events", event("response", "answer-only"), STRUCTURED)
    other = event("request", "twice", {"messages": [{"role": "user", "content": "something else"}]})
    service.post("/v1/events", [event("request", "twice"), other, event("response", "twice")], BATCH)
    service.post("/v1/events", [event("request", "n", {"instances": ["a", "b"]}), event("response", "n")], BATCH)
    service.until(lambda: service.metric("flywheel_intake_moved_rows_total", table="quarantine") == 5)
    assert service.stop() == 0
    reasons = sorted(row["reason"] for row in service.rows("quarantine"))
    assert reasons == ["conflicting_duplicate", "halves_differ", "halves_differ", "request_missing", "response_missing"]
    assert [row["interaction_id"] for row in service.rows("interactions")] == ["twice"]


def test_an_interaction_with_other_content_does_not_replace_the_first(start):
    service = start("--move-seconds", "0.1")
    said = {"interaction": "i", "prompt": "q", "timestamp": "2026-11-20T09:30:00Z", "rating": 1}
    service.post("/v1/feedback", said | {"response": "first"})
    service.until(lambda: service.metric("flywheel_intake_moved_rows_total", table="interactions") == 1)
    service.post("/v1/feedback", said | {"response": "second"})
    assert service.stop() == 0
    assert [row["response"] for row in service.rows("interactions")] == ["first"]
    assert [row["reason"] for row in service.rows("quarantine")] == ["conflicting_duplicate"]


def test_documents_and_probes(start):
    service = start()
    document = json.loads(service.call("GET", "/openapi.json")[1])
    for route in ("/v1/events", "/v1/feedback"):
        operation = document["paths"][route]["post"]
        assert operation["requestBody"]["content"]
        assert {"202", "401", "413", "422", "429", "503"} <= operation["responses"].keys()
        assert operation["security"]
    assert document["components"]["securitySchemes"].keys() == {"bearer", "key", "basic"}
    assert service.call("GET", "/docs")[0] == 200
    assert service.call("GET", "/healthz")[0] == 200
    assert service.call("GET", "/v1/feedback")[0] == 405
