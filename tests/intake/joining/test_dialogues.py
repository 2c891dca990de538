import json
import random
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.intake.joining.dialogues import assemble, group_key, said_in
from flywheel.components.intake.joining.mining import mine

START = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = timedelta(minutes=30)
TALK = [
    ("How long can I return things?", "Within 14 days."),
    ("That's wrong.", "Within 20 days."),
    ("it's 30 days, not 20", "You are right, 30 days."),
    ("Thanks! What does shipping cost?", "I don't know."),
    ("what does the shipping cost", "I don't know."),
]


def row(number, messages, prompt, answer, conversation="c", minutes=None):
    name = f"i{number}"
    return {
        "interaction_id": name,
        "conversation_id": conversation or name,
        "subject": "s",
        "timestamp": START + timedelta(minutes=number if minutes is None else minutes),
        "messages": json.dumps(messages),
        "prompt": prompt,
        "response": answer,
        "source": "log",
    }


def messages_of(turns, prompt):
    before = [m for u, a in turns for m in ({"role": "user", "content": u}, {"role": "assistant", "content": a})]
    return [{"role": "system", "content": "be kind"}, *before, {"role": "user", "content": prompt}]


def single(talk, conversation="c"):
    return [row(n, messages_of([], u), u, a, conversation) for n, (u, a) in enumerate(talk)]


def whole(talk, conversation="c"):
    """Each record repeats all that was said before."""
    return [row(n, messages_of(talk[:n], u), u, a, conversation) for n, (u, a) in enumerate(talk)]


def signals(rows, watermark=START + timedelta(days=1)):
    found = set()
    for dialogue in assemble([said_in(one) for one in rows]):
        place = {turn.turn_id: number for number, turn in enumerate(dialogue)}
        for signal in mine(dialogue, WINDOW, watermark, set()):
            found.add((place[signal.turn.turn_id], signal.mined.name, signal.mined.rule, signal.mined.text))
    return found


def test_all_three_ways_of_logging_give_the_same_signals_once():
    expected = {
        (0, "dissatisfied", "phrase", None),
        (1, "corrected", "contrast", "it's 30 days, not 20"),
        (2, "accepted", "phrase", None),
        (3, "rephrase", "same_answer", None),
        (4, "abandon", "evasive_answer", None),
    }
    got = signals(single(TALK))
    assert {one for one in got if one[0] != 3} == expected - {(3, "rephrase", "same_answer", None)}
    assert {one[1] for one in got if one[0] == 3} == {"rephrase"}
    assert signals(whole(TALK)) == got
    assert signals(whole(TALK)[-1:]) == got  # one record of five turns
    assert signals(whole(TALK, conversation="")) == got  # no conversation id at all
    assert signals(whole(TALK, conversation="")[-1:]) == got
    assert signals([single(TALK)[0], *whole(TALK)[2:]]) == got  # the second record is lost


def test_a_record_whose_clock_was_wrong_is_put_where_later_records_tell():
    rows = whole(TALK)
    rows[3]["timestamp"], rows[4]["timestamp"] = rows[4]["timestamp"], rows[3]["timestamp"]
    (dialogue,) = assemble([said_in(one) for one in rows])
    assert [turn.turn_id for turn in dialogue] == ["i0", "i1", "i2", "i3", "i4"]
    assert signals(rows) == signals(whole(TALK))


def test_turns_told_of_have_one_id_whoever_tells():
    rows = whole(TALK, conversation="")
    four, five = (assemble([said_in(one)])[0] for one in rows[3:5])
    assert [turn.turn_id for turn in four[:3]] == [turn.turn_id for turn in five[:3]]
    assert [turn.stored for turn in five] == [False] * 4 + [True]
    together = assemble([said_in(one) for one in rows])
    assert [[turn.turn_id for turn in thread] for thread in together] == [["i0", "i1", "i2", "i3", "i4"]]


def test_strangers_with_the_same_first_question_are_no_conversation():
    rows = [row(n, messages_of([], "Opening hours?"), "Opening hours?", "8 to 16.", "") for n in range(5)]
    assert len({group_key(one["interaction_id"], one["conversation_id"], one["messages"]) for one in rows}) == 1
    assert [len(dialogue) for dialogue in assemble([said_in(one) for one in rows])] == [1] * 5
    assert {one[1] for one in signals(rows)} == {"abandon"}


def test_a_second_try_at_the_same_place_of_a_thread_is_a_regeneration():
    talk = [("Tell me a joke", "Knock knock."), ("Another one", "A horse walks in.")]
    again = row(2, messages_of(talk[:1], "Another one"), "Another one", "Two fish in a tank.", "")
    rows = [*whole(talk, conversation=""), again]
    assert (1, "regenerate", "same_prompt", None) in signals(rows)


def test_a_user_who_comes_back_after_the_window_begins_anew():
    late = [row(0, messages_of([], "a b"), "a b", "I don't know."),
            row(1, messages_of([], "a b"), "a b", "8.", minutes=31)]  # fmt: skip
    assert {(place, name) for place, name, *_ in signals(late)} == {(0, "abandon"), (1, "abandon")}


def test_an_ending_is_judged_by_the_log_s_time_when_its_window_has_passed():
    rows = [row(0, messages_of([], "a b"), "a b", "I don't know.")]
    assert signals(rows, START + timedelta(minutes=29)) == set()
    assert signals(rows, START + timedelta(minutes=30)) == {(0, "abandon", "evasive_answer", None)}


def test_broken_and_odd_messages_fall_back_on_the_prompt():
    for messages in ("{", "null", "[1]", '[{"role": "assistant", "content": "hi"}]', "[]"):
        odd = row(0, [], "q", "a") | {"messages": messages}
        assert [turn.pair for turn in assemble([said_in(odd)])[0]] == [("q", "a")]
    tools = [{"role": "user", "content": "q1"}, {"role": "assistant", "content": ""}, {"role": "tool", "content": "5"},
             {"role": "assistant", "content": "five"}, {"role": "user", "content": "q2"}]  # fmt: skip
    assert [turn.pair for turn in assemble([said_in(row(0, tools, "q2", "a2"))])[0]] == [("q1", "five"), ("q2", "a2")]


WORDS = st.sampled_from(["what is a", "what is b", "that's wrong.", "thanks", "it's 7, not 5", "5 it is", "no"])
TALKS = st.lists(st.tuples(WORDS, st.sampled_from(["5", "I don't know.", "it is 5", "which one?"])), min_size=1,
                 max_size=6, unique=True)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(talk=TALKS, seed=st.integers(0, 9), named=st.booleans())
def test_order_of_arrival_does_not_matter(talk, seed, named):
    for form in (single, whole) if named else (whole,):
        rows = form(talk, "c" if named else "")
        mixed = rows[:]
        random.Random(seed).shuffle(mixed)
        assert signals(mixed) == signals(rows)


@settings(max_examples=60, deadline=None)
@given(talk=TALKS)
def test_repeated_histories_add_nothing(talk):
    assert signals(whole(talk)) == signals(single(talk))
    assert signals(whole(talk, "")) == signals(single(talk))
