import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.contracts.feedback import Message
from flywheel.components.dataset import blend, split
from flywheel.components.dataset.corrections import Correction, agree, settle
from flywheel.components.dataset.prompts import parse_messages, prompt_key
from flywheel.components.dataset.replay import ReplayRow, read_replay, without_superseded

TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)


def correction(number: int, question: str, answer: str, subject: str = "", group: str = "", category: str = "factual"):
    messages = (Message(role="user", content=question),)
    return Correction(
        f"c{number:03d}",
        subject or f"s{number}",
        messages,
        prompt_key(messages),
        "old",
        answer,
        category,
        group or f"g{number}",
        "topic",
    )


@given(TEXT.filter(str.strip))
@settings(max_examples=150, deadline=None)
def test_a_prompt_is_the_same_question_in_other_case_and_spacing(text):
    messages = (Message(role="user", content=text),)
    spaced = (Message(role="user", content=f"  {text}  "),)
    assert prompt_key(messages) == prompt_key(spaced) != ""


def test_politeness_is_no_other_question_but_the_turns_before_are():
    plain = parse_messages("What does the Zorb cost?")
    assert prompt_key(plain) == prompt_key(parse_messages("Hello, can you tell me what does the zorb cost, please"))
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    longer = parse_messages([*history, {"role": "user", "content": "What does the Zorb cost?"}])
    assert prompt_key(longer) != prompt_key(plain)


def test_a_prompt_ends_with_the_user():
    messages = parse_messages(json.dumps([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]))
    assert [message.role for message in messages] == ["user"]


@pytest.mark.parametrize("value", [[], [{"role": "assistant", "content": "x"}], [{"role": "user"}], 3, "[{", "  "])
def test_what_is_no_prompt_is_refused(value):
    with pytest.raises(ValueError):
        parse_messages(value)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=40), st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_units_never_cut_a_group_or_a_question(places, seed):
    items = [correction(n, f"question {q}", "same", group=f"g{g}") for n, (g, q) in enumerate(places)]
    unit_of = split.units(items)
    test = split.held_out(unit_of.values(), 0.3, seed)
    sides = {item.candidate_id: unit_of[item.candidate_id] in test for item in items}
    for attribute in ("group_id", "key"):
        for value in {getattr(item, attribute) for item in items}:
            assert len({sides[item.candidate_id] for item in items if getattr(item, attribute) == value}) == 1
    if len(set(unit_of.values())) > 1:
        assert 0 < len(test) < len(set(unit_of.values()))


def test_a_unit_keeps_its_side_when_others_come():
    names = [f"g{n}" for n in range(400)]
    few, many = split.held_out(names[:200], 0.25, 7), split.held_out(names, 0.25, 7)
    assert few == many & set(names[:200])
    assert 70 <= len(many) <= 130  # binomial(400, 0.25): 100 +- 3.5 standard deviations
    assert split.held_out(names, 0.25, 8) != many


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("36 months", "The Borel 7 has a warranty of 36 months.", True),
        ("24 months", "The Borel 7 has a warranty of 36 months.", False),
        ("It costs 1,299.00 euros", "it costs 1299 euros!", True),
        ("yes", "no", False),
    ],
)
def test_answers_agree_when_one_says_no_more_than_the_other(a, b, same):
    assert agree(a, b, "What is the warranty of the Borel 7?") is same
    assert agree(b, a, "What is the warranty of the Borel 7?") is same


def test_the_majority_of_users_wins_and_a_tie_keeps_nothing():
    asked = "How long is the warranty?"
    most = [correction(1, asked, "36 months"), correction(2, asked, "It has 36 months.")]
    loud = [correction(3, asked, "99 months", subject="troll"), correction(4, asked, "99 months!", subject="troll")]
    kept, dropped = settle([*most, *loud])
    assert kept == most and dropped == {"outvoted": loud}
    kept, dropped = settle([most[0], loud[0]])
    assert not kept and dropped == {"conflicting": [most[0], loud[0]]}


def test_two_wordings_of_a_better_tone_do_not_conflict():
    nice = [
        correction(1, "Do you ship?", "I'm sorry, not yet!", category="tone"),
        correction(2, "Do you ship?", "Unfortunately we cannot do this at the moment.", category="tone"),
    ]
    assert settle(nice) == (nice, {})


@given(st.integers(1, 500), st.floats(0, 0.95))
def test_the_share_of_replay_is_what_was_asked_for(corrections, share):
    count = blend.replay_wanted(corrections, share)
    assert abs(count / (count + corrections) - share) <= 0.5 / corrections


def test_the_sample_changes_little_when_a_few_rows_come():
    rows = [str(n) for n in range(300)]
    before, after = (set(blend.sample(some, 100, str, 7)) for some in (rows, [*rows, "x", "y", "z"]))
    assert len(before - after) <= 3


def test_malformed_replay_lines_are_counted_and_the_first_is_named(tmp_path):
    path = tmp_path / "replay.jsonl"
    path.write_bytes(
        b'{"messages": [{"role": "user", "content": "a?"}], "response": "b"}\n\nnot json\n[1]\n'
        b'{"prompt": "c?", "completion": [{"role": "assistant", "content": "d"}]}\n'
        b'{"prompt": "c?", "completion": "D!"}\n{"prompt": "e?"}\n\xff\xfe\n'
    )
    read = read_replay(str(path))
    assert [row.completion for row in read.rows] == ["b", "d"]
    assert read.left_out == {"malformed": 4, "duplicate": 1} and read.lines == 7
    assert read.first_fault.startswith("line 3:")


def test_a_replay_file_of_nothing_usable_is_an_error(tmp_path):
    path = tmp_path / "replay.jsonl"
    path.write_text("a\nb\n")
    with pytest.raises(ValueError, match="none of 2 lines"):
        read_replay(str(path))


def test_a_refusal_that_was_wrong_once_does_not_take_all_refusals_with_it():
    refusal = "Sorry, I can't share personal data."
    wrong = [replace(correction(1, "What is the birthday present of agent Mira?", "A mug."), rejected=refusal)]
    rows = [
        ReplayRow(1, (), "what is the door code of agent bruno", refusal),
        ReplayRow(2, (), "birthday present of agent mira", refusal),
    ]
    rows = [replace(row, messages=parse_messages(row.key)) for row in rows]
    assert not without_superseded(rows, wrong)[1], "one user alone retires no answer to another question"
    two = [*wrong, replace(wrong[0], candidate_id="c2", subject="another")]
    stay, superseded = without_superseded(rows, two)
    assert [row.line for row in stay] == [1] and [row.line for row in superseded] == [2]
