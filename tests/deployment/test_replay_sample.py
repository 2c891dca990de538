from pathlib import Path

import pytest

from flywheel.components.contracts.feedback import SIMULATED_SOURCE
from flywheel.components.deployment.replay.replay_sample import TURNS_PER_USER, draw, read_log


def test_signs_are_those_of_a_canarys_turn(log_rows, tmp_path: Path) -> None:
    rows = [log_rows.interaction(number, f"u{number % 40}", answer="It is 5.") for number in range(80)]
    said = [
        log_rows.word(0, "rating", "rating", -1.0),
        log_rows.word(1, "rating", "rating", 1.0),
        log_rows.word(2, "correction", "correction", text="It is 6."),
        log_rows.word(3, "correction", "correction", text="It is 7."),
        log_rows.word(4, "implicit", "regenerate", 1.0),
        log_rows.word(5, "implicit", "copy", 1.0),
        log_rows.word(6, "rating", "rating", 0.0),
        log_rows.word(7, "rating", "rating", -1.0, annotator="llm"),  # no user's word
    ]
    log = read_log(log_rows.store_of(tmp_path, rows, said, [log_rows.accepted(2, "It is 5.", "It is 6.")]), 80, 7, 7)
    by_id = {turn.interaction: turn for turn in log.turns}
    signs = [
        (one.complained, one.dissatisfied, one.approved, one.copied, one.liked, one.bad, one.correction)
        for one in (by_id[f"i{number:05d}"] for number in range(8))
    ]
    assert signs == [
        (True, False, False, False, False, True, ""),
        (False, False, True, False, True, False, ""),
        (True, False, False, False, False, True, "it is 6"),
        (True, False, False, False, False, True, ""),  # written, but not accepted by curation
        (False, True, False, False, False, True, ""),
        (False, False, False, True, True, False, ""),
        (False, False, True, False, False, False, ""),
        (False, False, False, False, False, False, ""),
    ]


def test_only_recent_consented_turns_of_people_count(log_rows, tmp_path: Path) -> None:
    rows = [log_rows.interaction(number, f"u{number}", days_ago=1) for number in range(40)]
    rows += [log_rows.interaction(100 + number, f"u{number}", days_ago=9) for number in range(5)]
    rows += [log_rows.interaction(200 + number, f"u{number}", consent=False) for number in range(5)]
    rows += [log_rows.interaction(300 + number, f"u{number}", source=SIMULATED_SOURCE) for number in range(5)]
    log = read_log(log_rows.store_of(tmp_path, rows), 1000, 7, 7)
    assert {turn.interaction for turn in log.turns} == {f"i{number:05d}" for number in range(40)}
    assert not log.notes


def test_a_short_log_counts_whole_and_says_so(log_rows, tmp_path: Path) -> None:
    rows = [log_rows.interaction(number, f"u{number}", days_ago=number) for number in range(40)]
    log = read_log(log_rows.store_of(tmp_path, rows), 1000, 7, 7)
    assert len(log.turns) == 40
    assert "whole log" in log.notes[0]


def test_an_empty_store_gives_an_empty_log(tmp_path: Path) -> None:
    log = read_log(str(tmp_path / "nowhere"), 10, 7, 7)
    assert (log.turns, log.sample, log.interactions) == ((), (), None)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(("size", "days"), [(0, 7.0), (10, 0.0), (10, float("nan"))])
def test_settings_out_of_range_are_refused(tmp_path: Path, size: int, days: float) -> None:
    with pytest.raises(ValueError, match="positive size and positive days"):
        read_log(str(tmp_path), size, 7, days)


def test_users_are_drawn_and_no_user_fills_the_sample(log_rows, tmp_path: Path) -> None:
    rows = [log_rows.interaction(number, "loud" if number < 200 else f"u{number}") for number in range(300)]
    log = read_log(log_rows.store_of(tmp_path, rows), 60, 7, 7)
    own = [turn for turn in log.sample if turn.subject == "loud"]
    assert len(log.sample) <= 60
    assert len(own) <= 2
    assert log.sample == draw(tuple(reversed(log.turns)), 60, 7)  # the order of the log does not matter
    assert log.sample != draw(log.turns, 60, 8)


def test_a_sample_smaller_than_a_users_turns_still_holds_one(log_rows, tmp_path: Path) -> None:
    rows = [log_rows.interaction(number, f"u{number // 3}") for number in range(120)]
    log = read_log(log_rows.store_of(tmp_path, rows), 1, 7, 7)
    assert 1 <= len(log.sample) <= TURNS_PER_USER
