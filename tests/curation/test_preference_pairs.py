import json

from flywheel.components.curation.preferences.preference_pairs import SCHEMA, mine


def turns(prompt, *before):
    said = [*before, prompt]
    return json.dumps([{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)])


def accepted(prompt="What does it cost?", response="5 euros", correction="7 euros", **more):
    row = {"prompt": prompt, "messages": turns(prompt), "response": response, "correction": correction}
    return row | {"candidate_id": "c1", "group_id": "g1", "confidence": 0.9} | more


def voted(prompt, response, up, down):
    return {"prompt": prompt, "messages": turns(prompt), "response": response, "up": up, "down": down}


def test_a_correction_is_chosen_over_what_it_corrects():
    mined = mine([accepted()], [], frozenset())
    assert mined.pairs.schema.equals(SCHEMA)
    (pair,) = mined.pairs.to_pylist()
    assert pair == {
        "prompt": [{"role": "user", "content": "What does it cost?"}],
        "chosen": "7 euros",
        "rejected": "5 euros",
        "evidence": "correction",
        "candidate_id": "c1",
        "group_id": "g1",
        "weight": 0.9,
    }


def test_the_prompt_is_the_conversation_up_to_the_question():
    row = accepted(messages=turns("And now?", "Hi", "Hello!"), prompt="And now?")
    (pair,) = mine([row], [], frozenset()).pairs.to_pylist()
    assert [turn["role"] for turn in pair["prompt"]] == ["user", "assistant", "user"]


def test_up_voted_over_down_voted_answers_to_one_question():
    rows = [
        voted("Where is it?", "In the box.", 3, 0),
        voted("where is it", "No idea.", 0, 2),
        voted("Who?", "Me.", 1, 0),
    ]
    mined = mine([], rows, frozenset())
    (pair,) = mined.pairs.to_pylist()
    assert (pair["chosen"], pair["rejected"], pair["evidence"]) == ("In the box.", "No idea.", "votes")
    assert pair["weight"] == 6 / 7
    assert pair["group_id"]


def test_votes_do_not_teach_what_a_correction_unteaches():
    rows = [voted("What does it cost?", "5 euros", 3, 0), voted("What does it cost?", "No idea.", 0, 2)]
    mined = mine([accepted()], rows, frozenset())
    assert mined.evidence() == {"correction": 1}
    assert mined.dropped == {"contradicts_correction": 1}


def test_vote_pairs_stay_on_their_side_of_a_split():
    rows = [voted("what does it cost", "9 euros", 3, 0), voted("what does it cost", "No idea.", 0, 2)]
    mined = mine([accepted()], rows, frozenset())
    assert {pair["group_id"] for pair in mined.pairs.to_pylist()} == {"g1"}
    between = mine([accepted(), accepted(candidate_id="c2", group_id="g2", correction="8 euros")], rows, frozenset())
    assert between.dropped == {"between_groups": 1}


def test_every_pair_is_accounted_for():
    candidates = [accepted(), accepted(candidate_id="c2"), accepted(candidate_id="c3", correction="5 euros")]
    mined = mine(candidates, [], frozenset())
    assert mined.considered == mined.pairs.num_rows + mined.duplicates + sum(mined.dropped.values()) == 3
    assert mine([], [], frozenset()).pairs.num_rows == 0
