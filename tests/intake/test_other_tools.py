"""Logs of other tools: golden files with PII and odd fields, named and not, mixed, in any order and over several files."""

import json
import random
import re
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flywheel.components.contracts.feedback import Annotator
from flywheel.components.intake import ratings
from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.formats import registry, spans
from flywheel.components.intake.halves import HalfJoiner
from flywheel.components.intake.ingest import ingest
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.store import delta_table

NOW = datetime(2026, 11, 21, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "golden"
PLACEHOLDER = re.compile(r"\[([A-Z]+)_\d+\]")  # its number hangs on the store's random key
TOOLS = ("otel", "openinference", "langfuse", "tensorzero", "kserve")
TIME = "2026-11-20T12:00:00Z"


def table(store, name):
    return delta_table.read(delta_table.latest(str(store), name)).to_pylist()


def run(logs, store, log_format="auto", **more):
    summary = ingest(str(logs), str(store), "run", log_format, now=NOW, **more)
    summary.record("run")  # checks the conservation law
    return summary


def put(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def told(store):
    """Everything in the tables but what the random key makes."""

    def attributes(row):
        found = json.loads(row["attributes"])
        origin = found.pop("intake")
        return found | {"intake": {name: origin[name] for name in ("line", "part", "format") if name in origin}}

    interactions = {
        row["interaction_id"]: {
            "conversation": row["conversation_id"],
            "timestamp": row["timestamp"].isoformat(),
            "model_version": row["model_version"],
            "messages": json.loads(row["messages"]),
            "response": row["response"],
            "source": row["source"],
            "attributes": attributes(row),
        }
        for row in table(store, "interactions")
    }
    names = ("interaction_id", "kind", "annotator", "name", "value", "text")
    feedback = [[row[name] for name in names] + [attributes(row)] for row in table(store, "feedback")]
    quarantine = [[row["line"], row["reason"], row["detail"], row["row"]] for row in table(store, "quarantine")]
    tables = {
        "interactions": dict(sorted(interactions.items())),
        "feedback": sorted(feedback, key=lambda row: PLACEHOLDER.sub("", json.dumps(row))),
        "quarantine": sorted(quarantine, key=json.dumps),
    }
    return json.loads(PLACEHOLDER.sub(r"[\1]", json.dumps(tables)))


def said(store):
    """Feedback rows as (interaction, kind, annotator, name, value, text)."""
    names = ("interaction_id", "kind", "annotator", "name", "value", "text")
    rows = [[row[name] for name in names] for row in table(store, "feedback")]
    return sorted((tuple(row) for row in json.loads(PLACEHOLDER.sub(r"[\1]", json.dumps(rows)))), key=str)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("tool", TOOLS)
def test_golden(tool, named, tmp_path):
    run(GOLDEN / f"{tool}.jsonl", tmp_path / "s", tool if named else "auto")
    assert told(tmp_path / "s") == json.loads((GOLDEN / f"{tool}.jsonl.expected.json").read_text())


@pytest.mark.parametrize("tool", TOOLS)
def test_no_golden_row_leaves_an_address_in_the_store(tool, tmp_path):
    run(GOLDEN / f"{tool}.jsonl", tmp_path / "s")
    stored = json.dumps(
        [table(tmp_path / "s", name) for name in ("interactions", "feedback", "quarantine")], default=str
    )
    assert "@example" not in stored
    assert "1234567" not in stored
    if tool != "tensorzero":
        assert "[EMAIL_" in stored


def test_all_formats_in_one_folder(tmp_path):
    """Auto-detection row by row: the folder gives what the files give one by one."""
    logs = tmp_path / "logs"
    logs.mkdir()
    alone = []
    for name in ("feedback", "openai", "preferences", *TOOLS):
        (logs / f"{name}.jsonl").write_bytes((GOLDEN / f"{name}.jsonl").read_bytes())
        alone.append(run(logs / f"{name}.jsonl", tmp_path / name))
    (logs / "flat.csv").write_bytes((GOLDEN / "flat.csv").read_bytes())
    alone.append(run(logs / "flat.csv", tmp_path / "flat"))
    together = run(logs, tmp_path / "s")
    assert together.files == 9
    assert together.rows_in == sum(one.rows_in for one in alone)
    assert together.accepted == sum(one.accepted for one in alone)
    assert together.quarantined == sum((one.quarantined for one in alone), start=type(together.quarantined)())
    assert set(together.formats) == {"feedback", "openai", "preferences", *TOOLS}


def test_all_formats_in_one_file_in_any_order(tmp_path):
    names = ("feedback", "openai", *TOOLS)
    lines = [line for name in names for line in (GOLDEN / f"{name}.jsonl").read_text().splitlines()]
    results = []
    for seed in (1, 2):
        random.Random(seed).shuffle(lines)
        path = tmp_path / f"{seed}.jsonl"
        path.write_text("\n".join(lines) + "\n")
        summary = run(path, tmp_path / f"s{seed}")
        results.append((summary.rows_in, summary.accepted, summary.quarantined, said(tmp_path / f"s{seed}")))
    ids = {row["interaction_id"] for row in table(tmp_path / "s1", "interactions")}
    assert {"a1b2c3d4e5f60718", "67f6740bbe1ddc3e", "tr-1", "k-1"} <= ids
    assert results[0][:3] == results[1][:3]
    tools = [[row for row in result[3] if row[0] in ids and len(row[0]) != 32] for result in results]
    assert tools[0] == tools[1]


@pytest.mark.parametrize("scores_first", [False, True])
def test_scores_in_another_file_join_their_trace(tmp_path, scores_first):
    trace = {"id": "tr", "timestamp": TIME, "input": "q?", "output": "a", "sessionId": "se", "userId": "u"}
    score = {"id": "s", "traceId": "tr", "name": "thumbs", "source": "API", "dataType": "BOOLEAN", "value": 0}
    logs = tmp_path / "logs"
    logs.mkdir()
    put(logs / ("b.jsonl" if scores_first else "a.jsonl"), trace)
    put(logs / ("a.jsonl" if scores_first else "b.jsonl"), score | {"stringValue": "False", "timestamp": TIME})
    assert run(logs, tmp_path / "s").accepted == 2
    (row,) = table(tmp_path / "s", "interactions")
    assert said(tmp_path / "s") == [(row["interaction_id"], "rating", "user", "rating", -1.0, None)]


def test_the_same_export_again_is_all_duplicates(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    for name in TOOLS:
        (logs / f"{name}.jsonl").write_bytes((GOLDEN / f"{name}.jsonl").read_bytes())
    first = run(logs, tmp_path / "s")
    before = told(tmp_path / "s")
    retried = run(logs, tmp_path / "s")
    assert (retried.accepted, retried.quarantined) == (first.accepted, first.quarantined)
    later = ingest(str(logs), str(tmp_path / "s"), "another", now=NOW)
    assert (later.accepted, later.duplicates) == (0, first.accepted)
    assert {name: part for name, part in told(tmp_path / "s").items() if name != "quarantine"} == {
        name: part for name, part in before.items() if name != "quarantine"
    }


def test_the_same_span_twice_in_one_export_counts_once(tmp_path):
    export = json.loads((GOLDEN / "otel.jsonl").read_text().splitlines()[0])
    scope = export["resourceSpans"][0]["scopeSpans"][0]
    scope["spans"] = [scope["spans"][2], scope["spans"][2]]
    summary = run(put(tmp_path / "x.jsonl", export), tmp_path / "s")
    assert (summary.rows_in, summary.accepted, summary.duplicates) == (2, 1, 1)


def test_ids_of_protobufs_own_json_are_the_same_in_hex():
    assert spans.hex_id("obLD1OX2Bxg=") == "a1b2c3d4e5f60718"
    assert spans.hex_id("0xA1B2C3D4E5F60718") == "a1b2c3d4e5f60718"
    assert spans.hex_id("not base64!!") == "not base64!!"


def test_phoenix_table_gives_what_its_json_gives(tmp_path):
    """Columns of a data frame (`attributes.llm.model_name`, `context.span_id`) in Parquet, as Phoenix exports them."""
    rows = [
        {
            "name": "LLM", "span_kind": "LLM", "parent_id": None, "context.span_id": "67f6740bbe1ddc3f",
            "context.trace_id": "ab", "start_time": datetime(2026, 11, 1, tzinfo=UTC),
            "end_time": datetime(2026, 11, 1, 0, 0, 2, tzinfo=UTC), "status_code": "OK",
            "attributes.openinference.span.kind": "LLM", "attributes.llm.model_name": "m",
            "attributes.llm.input_messages": [{"message.role": "user", "message.content": "q?"}],
            "attributes.llm.output_messages": [{"message.role": "assistant", "message.content": "a"}],
        }
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "spans.parquet")
    notes = [
        {"context.span_id": "67f6740bbe1ddc3f", "annotation_name": "user_feedback", "annotator_kind": "HUMAN",
         "result.score": 1.0, "result.label": "thumbs-up", "created_at": datetime(2026, 11, 2, tzinfo=UTC)}
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(notes), tmp_path / "annotations.parquet")
    assert run(tmp_path, tmp_path / "s").accepted == 2
    (row,) = table(tmp_path / "s", "interactions")
    assert (row["interaction_id"], row["prompt"], row["response"]) == ("67f6740bbe1ddc3f", "q?", "a")
    assert ("67f6740bbe1ddc3f", "rating", "user", "rating", 1.0, None) in said(tmp_path / "s")
    assert ("67f6740bbe1ddc3f", "automated", "code", "latency_ms", 2000.0, None) in said(tmp_path / "s")


def test_preference_pairs_from_parquet_in_both_shapes(tmp_path):
    dialogue = [{"role": "user", "content": "p"}, {"role": "assistant", "content": "good"}]
    worse = [{"role": "user", "content": "p"}, {"role": "assistant", "content": "bad"}]
    pq.write_table(
        pa.Table.from_pylist([{"chosen": dialogue, "rejected": worse, "score_chosen": 8.0}]), tmp_path / "a.parquet"
    )
    pq.write_table(pa.Table.from_pylist([{"prompt": "p2", "chosen": "yes", "rejected": "no"}]), tmp_path / "b.parquet")
    assert run(tmp_path, tmp_path / "s").accepted == 2
    texts = {(row["annotator"], row["text"]) for row in table(tmp_path / "s", "feedback")}
    assert texts == {("human", "good"), ("human", "yes")}
    assert '"score_chosen":8.0' in "".join(row["attributes"] for row in table(tmp_path / "s", "interactions"))


def test_a_page_of_an_api_holds_rows(tmp_path):
    score = {
        "id": "s",
        "traceId": "t",
        "name": "q",
        "source": "EVAL",
        "dataType": "NUMERIC",
        "value": 0.5,
        "timestamp": TIME,
    }
    page = {"data": [score, score | {"id": "s2", "value": 0.7}], "meta": {"page": 1, "totalItems": 2}}
    assert run(put(tmp_path / "x.json", page), tmp_path / "s").accepted == 2
    assert {row[3:5] for row in said(tmp_path / "s")} == {("q", 0.5), ("q", 0.7)}
    assert run(put(tmp_path / "y.json", {"data": [1], "meta": {}}), tmp_path / "s2").quarantined == {
        "invalid_record": 1
    }


# our own record -------------------------------------------------------------------------------------------------------


def test_our_own_record_names_its_annotator_and_scores(tmp_path):
    row = {
        "interaction": "i",
        "timestamp": TIME,
        "annotator": "llm",
        "signals": {"scores": [{"name": "tone", "value": 3.5}]},
    }
    other = {"interaction": "i", "timestamp": TIME, "annotator": "the cat", "comment": "hm"}
    assert run(put(tmp_path / "x.jsonl", row, other), tmp_path / "s").accepted == 2
    assert ("i", "score", "llm", "tone", 3.5, None) in said(tmp_path / "s")
    assert ("i", "comment", "user", "comment", None, "hm") in said(tmp_path / "s")
    bad = row | {"signals": {"scores": [{"name": "tone"}]}}
    assert run(put(tmp_path / "y.jsonl", bad), tmp_path / "s").quarantined == {"invalid_record": 1}


def test_a_score_named_after_a_person_is_scrubbed(tmp_path):
    row = {"interaction": "i", "timestamp": TIME, "signals": {"scores": [{"name": "of bob@example.com", "value": 1}]}}
    run(put(tmp_path / "x.jsonl", row), tmp_path / "s")
    assert said(tmp_path / "s") == [("i", "score", "user", "of [EMAIL]", 1.0, None)]


@pytest.mark.parametrize(
    "row", [{"id": "1", "timestamp": TIME, "input": "q", "output": "a", "user_id": "u", "rating": 1}]
)
def test_our_flat_fields_are_not_taken_for_another_tools(tmp_path, row):
    run(put(tmp_path / "x.jsonl", row), tmp_path / "s")
    assert said(tmp_path / "s") == [("1", "rating", "user", "rating", 1.0, None)]
    assert registry.format_of({name: item for name, item in row.items() if name != "rating"}).name == "feedback"


# which scores are ratings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "label", "who", "rating"),
    [
        ("user-feedback", 1, None, "user", 1),
        ("user_feedback", 0.0, None, "user", -1),
        ("Thumbs", True, None, "human", 1),
        ("thumbs", None, "Thumbs-Down", "user", -1),
        ("thumbs", 1, "👎", "user", -1),
        ("helpful", False, None, "user", -1),
        ("rating", -1, None, "user", -1),
        ("feedback", None, "neutral", "user", 0),
        ("rating", 4, None, "user", None),  # of 5 or of 10: nobody said
        ("helpful", 0.7, None, "user", None),
        ("helpful", 1, None, "llm", None),
        ("thumbs", 1, None, "code", None),
        ("quality", 1, None, "human", None),
        ("thumbs", float("nan"), None, "user", None),
    ],
)
def test_the_stated_rule(name, value, label, who, rating):
    assert ratings.DEFAULT.rating(name, value, label, Annotator(who)) == rating


def test_the_rule_can_be_overridden(tmp_path):
    rule = ratings.parse('{"csat": [2, 4], "resolved": {"yes": 1, "No": -1}, "helpful": false}')
    assert [rule.rating("CSAT", stars, None, Annotator.USER) for stars in (1, 2, 3, 4, "5")] == [-1, -1, 0, 1, 1]
    assert rule.rating("resolved", None, "no", Annotator.USER) == -1
    assert rule.rating("helpful", 1, None, Annotator.USER) is None
    assert rule.rating("thumbs", 1, None, Annotator.USER) == 1  # names that are not given keep the stated rule
    rows = [
        {"prompt": "q", "response": "a", "timestamp": TIME, "rating": 5},
        {"target_id": "t", "metric_name": "csat", "value": 2.0, "timestamp": TIME},
    ]
    summary = run(put(tmp_path / "x.jsonl", *rows), tmp_path / "s", rating_rule='{"rating": [2, 4], "csat": [2, 4]}')
    assert summary.accepted == 2
    assert {(row[1], row[2], row[4]) for row in said(tmp_path / "s")} == {
        ("rating", "user", 1.0),
        ("rating", "user", -1.0),
    }


@pytest.mark.parametrize(
    ("rule", "words"),
    [("[1]", "not a JSON object"), ("{", "not JSON"), ('{"a": [4, 2]}', "'a' is neither"), ('{"a": {"x": 2}}', "'a'"),
     ('{"a": true}', "'a'"), ('{"a": {}}', "'a'"), ('{"a": {"x": true}}', "'a'")],
)  # fmt: skip
def test_a_wrong_rule_is_refused(tmp_path, rule, words):
    with pytest.raises(IntakeError, match=words):
        run(put(tmp_path / "x.jsonl", {}), tmp_path / "s", rating_rule=rule)


# halves of inferences -------------------------------------------------------------------------------------------------


def event(identity, half, data, time="2026-11-20T09:00:00Z"):
    kind = f"org.kubeflow.serving.inference.{half}"
    return {"specversion": "1.0", "id": identity, "type": kind, "source": "http://x/", "time": time, "data": data}


ASKED = {"messages": [{"role": "user", "content": "q?"}], "user": "u"}
SAID = {"choices": [{"message": {"role": "assistant", "content": "a"}}]}


def test_halves_in_two_files_and_in_any_order(tmp_path):
    """The blob logger of KServe writes a file per half."""
    for number in range(5):
        put(tmp_path / f"{number}-request.json", event(f"k{number}", "request", ASKED))
        put(tmp_path / f"{4 - number}-a-response.json", event(f"k{number}", "response", SAID))
    summary = run(tmp_path, tmp_path / "s")
    assert (summary.files, summary.rows_in, summary.accepted) == (10, 5, 5)
    assert {row["interaction_id"] for row in table(tmp_path / "s", "interactions")} == {f"k{n}" for n in range(5)}


def test_a_lonely_half_without_consent_is_not_kept(tmp_path):
    secret = {"messages": [{"role": "user", "content": "a private sentence"}], "consent": False}
    run(put(tmp_path / "x.jsonl", event("k", "request", secret)), tmp_path / "s")
    (row,) = table(tmp_path / "s", "quarantine")
    assert (row["reason"], row["row"]) == ("no_consent", "")


def test_a_repeated_half_is_accounted_for(tmp_path):
    other = ASKED | {"messages": [{"role": "user", "content": "other?"}]}
    rows = [event("k", "request", ASKED), event("k", "request", other), event("k", "response", SAID)]
    summary = run(put(tmp_path / "x.jsonl", *rows), tmp_path / "s")
    assert (summary.rows_in, summary.accepted, summary.quarantined) == (2, 1, {"conflicting_duplicate": 1})
    assert table(tmp_path / "s", "interactions")[0]["prompt"] == "q?"


def test_waiting_halves_take_bounded_memory():
    joiner = HalfJoiner(most_bytes=250)
    out = []
    for number in range(5):
        row = RawRow("f", number, 100, NOW, value=event(f"k{number}", "request", ASKED), shape="kserve")
        out += joiner.offer(row)
    assert [row.reason for row in out] == ["response_missing"] * 3
    assert [row.line for row in joiner.rest()] == [3, 4]


def test_without_consent_the_scores_of_a_trace_are_not_kept_either(tmp_path):
    trace = {
        "id": "tr", "timestamp": TIME, "input": "a private sentence", "output": "a", "userId": "u",
        "metadata": {"consent": False}, "scores": [{"name": "thumbs", "source": "API", "value": 1, "comment": "private words"}],
    }  # fmt: skip
    summary = run(put(tmp_path / "x.jsonl", trace), tmp_path / "s")
    assert (summary.rows_in, summary.quarantined) == (1, {"no_consent": 1})
    assert "private" not in json.dumps([table(tmp_path / "s", "feedback"), table(tmp_path / "s", "quarantine")])


def test_tables_of_langfuse(tmp_path):
    """CSV as the UI exports it: JSON stands in cells as text, numbers and empty cells are text as well."""
    import csv

    asked, said_back = json.dumps([{"role": "user", "content": "Oslo?\nThanks"}]), json.dumps({"content": "Yes."})
    tables = {
        "traces": [["id", "timestamp", "userId", "sessionId", "input", "output", "public"],
                   ["t-1", TIME, "u-1", "", asked, said_back, "false"]],
        "scores": [["id", "timestamp", "traceId", "name", "source", "dataType", "value", "stringValue"],
                   ["s1", TIME, "t-1", "user-feedback", "API", "NUMERIC", "0", ""],
                   ["s2", TIME, "t-1", "output", "ANNOTATION", "CORRECTION", "0", "No."]],
    }  # fmt: skip
    for name, rows in tables.items():
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    assert run(tmp_path, tmp_path / "s").accepted == 3
    (row,) = table(tmp_path / "s", "interactions")
    assert (row["prompt"], row["response"], row["conversation_id"]) == ("Oslo?\nThanks", "Yes.", "t-1")
    assert said(tmp_path / "s") == [
        ("t-1", "correction", "human", "correction", None, "No."),
        ("t-1", "rating", "user", "rating", -1.0, None),
    ]
