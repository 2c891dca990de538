from random import Random

import pytest

from flywheel.components.deployment.users.reactions import react
from flywheel.components.deployment.users.simulated_users import read_traffic


def bad_share(answer: str, references: tuple[str, ...], failed: bool = False) -> float:
    reactions = [react(answer, failed, references, Random(seed)) for seed in range(2000)]
    return sum(
        bool(
            r.signals.get("rating") == -1
            or r.signals.get("correction")
            or {"rephrase", "abandon"} & set(r.signals.get("implicit", ()))
        )
        for r in reactions
    ) / len(reactions)


def test_wrong_answers_draw_bad_feedback_and_right_ones_hardly_any() -> None:
    assert bad_share("It costs 12 euro", ("it  costs 12 EURO.",)) == pytest.approx(0.04, abs=0.02)
    assert bad_share("It costs 13 euro.", ("It costs 12 euro.",)) == pytest.approx(0.75, abs=0.04)
    assert bad_share("", ("It costs 12 euro.",), failed=True) == pytest.approx(0.9, abs=0.03)


def test_who_cannot_tell_gives_implicit_signs_only() -> None:
    for seed in range(300):
        reaction = react("anything", False, (), Random(seed))
        assert reaction.wrong is None
        assert set(reaction.signals) <= {"implicit"}


def test_a_reaction_depends_on_the_seed_only() -> None:
    assert react("a", False, ("b",), Random(5)) == react("a", False, ("b",), Random(5))


def test_a_correction_says_what_is_right() -> None:
    texts = {react("a", False, ("b", "c"), Random(seed)).signals.get("correction") for seed in range(200)}
    assert texts == {None, "b"}


def test_traffic_is_read_into_visits(tmp_path) -> None:
    file = tmp_path / "traffic.jsonl"
    line = '{"subject": "%s", "messages": [{"role": "user", "content": "%s"}]}\n'
    file.write_text(line % ("a", 1) + "\n" + line % ("b", 2) + line % ("a", 3))
    visits = read_traffic(file)
    assert list(visits) == ["a", "b"]
    assert [question.messages[0]["content"] for question in visits["a"]] == ["1", "3"]


@pytest.mark.parametrize(("text", "message"), [("", "no questions"), ("{}\n", "line 1"), ("\n\nnot json\n", "line 3")])
def test_bad_traffic_is_named(tmp_path, text: str, message: str) -> None:
    file = tmp_path / "traffic.jsonl"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_traffic(file)


def test_missing_traffic_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl"):
        read_traffic(tmp_path / "none.jsonl")
