import json

import pytest

from flywheel.components.curation.guards import poison_guard
from flywheel.components.curation.guards.trusted_items import check, read_trusted, trusted_of

QUESTION = "How long is the warranty of the Borel 7?"


def item(name: str, reference: str, kind: str = "exact", question: str = QUESTION) -> str:
    return json.dumps(
        {
            "item_id": name,
            "suite": "untouched",
            "kind": kind,
            "messages": [{"role": "user", "content": question}],
            "references": [reference],
        }
    )


def test_a_correction_against_a_trusted_answer_goes_to_people(candidate):
    trusted = trusted_of([("", "how long is the warranty of the Borel 7", "It is 36 months.")])
    rows = [candidate(("36",), ("a",)), candidate(("48",), ("b",), question="p")]
    found = poison_guard.examine(rows, 9.0, trusted)
    assert {index: (f.route, f.reason) for index, f in found.findings.items()} == {1: ("review", "contradicts_trusted")}
    assert (found.trusted_agreeing, found.trusted_contradicting) == (1, 1)


def test_what_a_trusted_answer_says_needs_no_vote(candidate):
    trusted = trusted_of([("", QUESTION, "36 months")])
    rows = [candidate(("36",), ("a",)), candidate(("48",), ("b",)), candidate(("48",), ("c",))]
    reasons = {index: f.reason for index, f in poison_guard.inspect(rows, 9.0, trusted).items()}
    assert reasons == {1: "contradicts_trusted", 2: "contradicts_trusted"}


def test_who_contradicts_trusted_answers_is_not_believed_elsewhere(candidate):
    trusted = trusted_of([("", f"Question {i}?", f"Answer is {i + 1}.") for i in range(3)])
    rows = [
        candidate(("99",), ("liar",), question=f"q{i}", prompt=f"Question {i}?", correction="It is 99.")
        for i in range(2)
    ]
    rows.append(candidate(("3",), ("fair",), question="q2", prompt="Question 2?", correction="Answer is 3."))
    rows += [candidate(("5",), ("liar",), question="r"), candidate(("6",), ("fair",), question="s")]
    rows.append(candidate(("7",), ("liar", "fair"), question="t"))
    assert check(rows, trusted).distrusted == {"liar"}
    reasons = {index: f.reason for index, f in poison_guard.inspect(rows, 9.0, trusted).items()}
    assert reasons == {0: "contradicts_trusted", 1: "contradicts_trusted", 3: "distrusted_subject"}


def test_another_conversation_is_another_question(candidate):
    trusted = trusted_of([("We spoke about the Tamrin.", QUESTION, "36 months")])
    rows = [candidate(("48",), ("a",))]
    assert poison_guard.inspect(rows, 9.0, trusted) == {}
    assert poison_guard.inspect([rows[0] | {"context": "we spoke about the Tamrin"}], 9.0, trusted) != {}


def test_items_are_read_by_kind(tmp_path):
    path = tmp_path / "golden.jsonl"
    path.write_text("\n".join([item("a", "36 months"), "", item("b", "Sorry", "refusal"), item("c", "x", "contains")]))
    assert [answer for _, _, answer in read_trusted(str(path))] == ["36 months", "x"]
    assert read_trusted("") == []
    path.write_text('{"item_id": "a"}\n')
    with pytest.raises(ValueError, match="line 1: suite"):
        read_trusted(str(path))
    with pytest.raises(FileNotFoundError, match="leave it out"):
        read_trusted(str(tmp_path / "none"))
