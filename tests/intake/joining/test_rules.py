"""The rules on hand-labelled dialogues of nine domains and eight languages; held-out ones were never tuned on."""

import json
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from flywheel.components.intake.joining import calibration, next_turn, phrases
from flywheel.components.intake.joining.next_turn import read
from flywheel.components.intake.joining.similarity import asks_again

LABELLED = Path(__file__).parent / "labelled"
SOON = timedelta(seconds=30)


@pytest.fixture(scope="module")
def dev():
    return calibration.read_labelled(LABELLED / "dev.jsonl")


@pytest.fixture(scope="module")
def held_out():
    return calibration.read_labelled(LABELLED / "held_out.jsonl")


def names(prompt, answer, following, reply="", gap=SOON):
    return {mined.name for mined in read(prompt, answer, following, reply, gap)}


def after(following, answer="You can return them within 14 days.", prompt="How long can I return things?"):
    return names(prompt, answer, following)


def test_sets_are_varied_and_share_no_dialogue(dev, held_out):
    assert len(dev) >= 300
    assert len(held_out) >= 150
    assert {row["language"] for row in dev} == {row["language"] for row in held_out}
    assert len({row["domain"] for row in held_out} - {row["domain"] for row in dev}) >= 8
    assert not {json.dumps(row["said"]) for row in dev} & {json.dumps(row["said"]) for row in held_out}
    assert sum(not row["labels"] for row in dev) >= 70


def test_packaged_confidences_are_those_of_the_development_set(dev):
    packaged = json.loads(files("flywheel.components.intake.joining").joinpath("confidences.json").read_bytes())
    rules, _ = calibration.measure(dev)
    assert packaged == calibration.confidences(rules)


def test_held_out_dialogues_bear_the_confidences_out(dev, held_out):
    rules, _ = calibration.measure(dev)
    seen, _ = calibration.measure(held_out)
    assert set(seen) == set(rules)
    for name, counts in seen.items():
        assert counts.precision >= rules[name].confidence, name


def test_held_out_dialogues_are_found(held_out):
    _, by_name = calibration.measure(held_out)
    least = {"abandon": 0.9, "accepted": 0.8, "copy": 0.8, "corrected": 0.6, "dissatisfied": 0.85, "regenerate": 0.9,
             "rephrase": 0.85}  # fmt: skip
    assert {name: counts.recall for name, counts in by_name.items() if counts.recall < least[name]} == {}
    assert set(by_name) == set(least)


def test_silence_alone_is_known_to_say_little(dev):
    rules, _ = calibration.measure(dev)
    assert rules["abandon/silence"].confidence < 0.2 < rules["abandon/evasive_answer"].confidence


def test_measure_can_tell_a_bad_rule(dev):
    """With every label taken away, nothing is right any more."""
    rules, by_name = calibration.measure({**row, "labels": []} for row in dev)
    assert all(counts.right == 0 and counts.confidence == 0 for counts in rules.values())
    assert all(counts.recall == 0 for counts in by_name.values())


@pytest.mark.parametrize(
    "following",
    ["That's wrong.", "No, I meant the shoes", "Nein, das stimmt nicht.", "C'est faux.", "Eso no es correcto.",
     "Non è corretto.", "Dat klopt niet.", "Isso está errado.", "To nieprawda.", "Sorry, but that's not true!"],
)  # fmt: skip
def test_dissatisfaction_in_eight_languages(following):
    assert "dissatisfied" in after(following)


@pytest.mark.parametrize(
    "following",
    ["That's not wrong, but is there more?", "Nothing is wrong with that.", "Das ist nicht falsch.",
     'The page says "that\'s wrong", why?', "> That's wrong.\nWhat does this line mean?", "My wife says that's wrong.",
     "Is that wrong?", "No, thanks.", "If that's wrong I will come back.", "«C'est faux», a dit le vendeur."],
)  # fmt: skip
def test_negated_quoted_and_reported_words_are_no_dissatisfaction(following):
    assert "dissatisfied" not in after(following)


def test_no_answers_a_question_of_the_assistant():
    assert after("No, I meant the shoes", answer="Do you mean the hats?") == set()


def test_a_correction_in_the_next_turn_keeps_its_words_and_is_its_own_kind():
    found = read("How long?", "You have 14 days.", "it's 30 days, not 14", "", SOON)
    assert [(mined.name, mined.rule, mined.text) for mined in found] == [
        ("corrected", "contrast", "it's 30 days, not 14")
    ]


def test_what_was_meant_is_no_correction():
    assert names("List open ports on Linux?", "Use netstat on Windows.", "I meant on Linux, not Windows.") == {
        "dissatisfied"
    }


def test_new_information_is_no_rephrasing():
    assert asks_again("When does the last ferry to Aero leave?", "At what time does the last ferry to Aero leave?")
    assert not asks_again("When does the last ferry to Aero leave?", "When does the first ferry to Aero leave?")
    assert not asks_again("What does the Borel 7 cost?", "What does the Borel 9 cost?")
    assert not asks_again("What does the Borel cost?", "What does the Borel cost in 2027?")


def test_the_same_prompt_at_once_regenerates_and_later_repeats():
    assert names("a b c", "x", "A b c!", "y", timedelta(seconds=20)) == {"regenerate"}
    assert names("a b c", "x", "a b c", "y", timedelta(minutes=10)) == {"rephrase"}
    assert names("a b c", "x", "a b c", "x", timedelta(seconds=1)) == set()  # a client that sent twice


def test_texts_without_words_and_very_long_ones_are_read_safely():
    assert names("?", "!", "...", "", SOON) <= {"regenerate"}
    assert names("", "", "", "", SOON) == set()
    assert names("q " * 5000, "a " * 5000, "no that " * 5000, "", SOON) <= {"dissatisfied", "rephrase"}


def test_every_phrase_list_compiles_and_is_in_every_language():
    lists = json.loads(files("flywheel.components.intake.joining").joinpath("phrases.json").read_text())
    for name in ("stop", "interjection", "against", "dissatisfied", "accepted", "evasion", "correction_lead"):
        assert set(lists[name]) == {"en", "de", "fr", "es", "it", "nl", "pt", "pl"}, name
    for name in ("dissatisfied", "accepted", "declined", "correction_lead", "evasion"):
        assert phrases.opening(name).match("zzz") is None


def test_confidences_of_other_rules_are_refused(monkeypatch):
    from flywheel.components.intake.joining import mining

    mining.confidences.cache_clear()
    monkeypatch.setattr(next_turn, "VERSION", "0")
    with pytest.raises(ValueError, match=r"calibration.*labelled dialogues"):
        mining.confidences()
