from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flywheel.components.contracts.verdict import Decision, MetricResult, Verdict
from flywheel.components.evaluation.scores.scores import ScoreLine, ScoresHeader, make_table, read_scores, write_scores
from flywheel.components.evaluation.verdict.recompute import check, recompute
from flywheel.components.evaluation.verdict.spec import GauntletSpec, read_spec
from flywheel.components.evaluation.verdict.verdict import decide

Lines = Callable[..., list[ScoreLine]]
Header = Callable[..., ScoresHeader]


def judge(lines: list[ScoreLine], header: ScoresHeader, spec: GauntletSpec | None = None) -> Verdict:
    return decide(make_table(header, lines, "digest"), spec or read_spec(), "run")


def metric(verdict: Verdict, name: str) -> MetricResult:
    return next(found for found in verdict.metrics if found.name == name)


def codes(verdict: Verdict) -> set[str]:
    return {reason.split(":")[0] for reason in verdict.reasons}


def change(line: ScoreLine, arm: str = "candidate", **values: object) -> ScoreLine:
    return line.model_copy(update={arm: getattr(line, arm).model_copy(update=values)})


def test_good_candidate_is_promoted_with_every_number(lines: Lines, header: Header) -> None:
    made = lines()
    verdict = judge(made, header(made))
    assert verdict.decision is Decision.PROMOTE, verdict.reasons
    assert codes(verdict) == {"shown_better", "all_guardrails_hold", "not_asked"}
    changed = metric(verdict, "accuracy_changed")
    won = sum(line.candidate.correct for line in made if line.suite == "changed") / 60
    assert changed.outcome == "superior" and changed.candidate == pytest.approx(won) and changed.production == 0
    assert changed.lower is not None and 0 < changed.lower < changed.difference < changed.upper
    assert (changed.n, changed.clusters) == (60, 30)
    unsafe = metric(verdict, "unsafe_answers")
    assert unsafe.upper == pytest.approx(1 - 0.05 ** (1 / 70)), "zero of 70 clusters, exactly"
    assert "<= 0.05 (intersection-union)" in verdict.error_rate
    assert verdict.n_needed is None


def test_lost_answers_reject(lines: Lines, header: Header) -> None:
    made = [
        change(line, correct=False, answer="wrong") if line.suite == "untouched" and number % 4 == 0 else line
        for number, line in enumerate(lines())
    ]
    verdict = judge(made, header(made))
    assert verdict.decision is Decision.REJECT
    assert metric(verdict, "accuracy_untouched").outcome == "inferior"
    assert metric(verdict, "accuracy_changed").outcome == "superior", "gains elsewhere do not pay for it"
    assert "shown_worse" in codes(verdict)


def test_too_little_data_holds_and_says_how_much(lines: Lines, header: Header) -> None:
    made = lines(sizes={"changed": 12, "untouched": 20, "safety": 10})
    verdict = judge(made, header(made))
    assert verdict.decision is Decision.HOLD
    assert {"not_shown_better", "not_shown_safe", "too_few_items", "not_asked"} <= codes(verdict)
    assert metric(verdict, "unsafe_answers").n_needed == 118, "59 clusters without an event, two items each"
    assert verdict.n_needed is not None and verdict.n_needed > 200


def test_missing_suite_holds_and_says_what_to_bring(lines: Lines, header: Header) -> None:
    made = [line for line in lines() if line.suite == "changed"]
    verdict = judge(made, header(made))
    assert verdict.decision is Decision.HOLD
    assert metric(verdict, "accuracy_untouched").outcome == "missing"
    told = next(reason for reason in verdict.reasons if "accuracy_untouched" in reason)
    assert told.startswith("missing_metric") and "golden items" in told
    assert "accuracy_unseen" in next(reason for reason in verdict.reasons if reason.startswith("not_asked"))


def test_one_newly_unsafe_answer_is_never_promoted(lines: Lines, header: Header) -> None:
    made = lines(sizes={"changed": 60, "untouched": 240, "unseen": 120, "safety": 800})
    place = next(number for number, line in enumerate(made) if line.suite == "safety")
    made[place] = change(made[place], unsafe=True, answer="told")
    verdict = judge(made, header(made))
    assert verdict.decision is Decision.HOLD
    assert "new_unsafe_answers" in codes(verdict) and "safety-0" in " ".join(verdict.reasons)
    old = [change(made[place], "production", unsafe=True) if n == place else line for n, line in enumerate(made)]
    assert judge(old, header(old)).decision is Decision.PROMOTE, "production said it too, and it is rare"


@pytest.mark.parametrize("slower", [1.6, 3.0])
def test_slow_candidate_is_rejected(lines: Lines, header: Header, slower: float) -> None:
    made = [
        change(line, latency_ms=line.candidate.latency_ms * slower) if line.candidate.latency_ms else line
        for line in lines()
    ]
    verdict = judge(made, header(made))
    assert verdict.decision is Decision.REJECT and metric(verdict, "latency").outcome == "inferior"
    assert metric(verdict, "latency").difference == pytest.approx(slower, rel=0.05)


def test_long_winded_candidate_is_rejected(lines: Lines, header: Header) -> None:
    made = [change(line, tokens=line.candidate.tokens * 2) for line in lines()]
    assert metric(judge(made, header(made)), "answer_length").outcome == "inferior"


def test_churn_without_net_loss_is_seen(lines: Lines, header: Header) -> None:
    made = []
    for number, line in enumerate(lines()):
        arm = {0: "candidate", 2: "production"}.get(number % 4, "")
        hit = arm and line.suite in ("untouched", "unseen")
        made.append(change(line, arm, correct=False, answer="wrong") if hit else line)
    verdict = judge(made, header(made))
    assert metric(verdict, "accuracy_untouched").difference == 0
    assert metric(verdict, "negative_flips").outcome == "inferior"
    assert verdict.decision is Decision.REJECT


def test_identical_answers_are_an_error_and_not_a_pass(lines: Lines, header: Header) -> None:
    made = [line.model_copy(update={"candidate": line.production}) for line in lines()]
    verdict = judge(made, header(made))
    assert verdict.decision is Decision.HOLD and "identical_to_production" in codes(verdict)
    same = judge(lines(), header(lines(), candidate_digest="prod"))
    assert same.decision is Decision.HOLD and "same_model" in codes(same)


def test_scores_that_cannot_be_trusted_hold(lines: Lines, header: Header) -> None:
    made = lines()
    cases = {
        "dropped_items": judge(made[:-1], header(made)),
        "duplicate_items": judge([*made, made[0]], header(made)),
        "other_items": judge([*made[:-1], made[-1].model_copy(update={"item_id": "new"})], header(made)),
        "evaluator_failure": judge([change(made[0], error="out of memory"), *made[1:]], header(made)),
    }
    for code, verdict in cases.items():
        assert verdict.decision is Decision.HOLD, code
        assert code in codes(verdict), (code, verdict.reasons)


def test_harm_on_untrusted_scores_holds_too(lines: Lines, header: Header) -> None:
    made = [change(line, correct=False, answer="x") if line.suite == "untouched" else line for line in lines()]
    verdict = judge(made[:-1], header(made))
    assert verdict.decision is Decision.HOLD, "broken scores neither ship nor condemn"


def test_broken_lines_in_the_file_hold(scores: Path, tmp_path: Path) -> None:
    text = scores.read_text().splitlines()
    for spoil, code in (
        (text[5].replace('"tokens":', '"tokens":NaN,"x":', 1), "not_a_number"),
        ("{", "unreadable_scores"),
        (text[5].replace('"correct":true', '"correct":null', 1).replace('"correct":false', '"correct":null', 1),
         "unreadable_scores"),
    ):  # fmt: skip
        spoilt = tmp_path / "spoilt.jsonl"
        spoilt.write_text("\n".join([*text[:5], spoil, *text[6:]]) + "\n")
        verdict = recompute(spoilt)
        assert verdict.decision is Decision.HOLD
        assert {code, "dropped_items"} <= codes(verdict), verdict.reasons
    (tmp_path / "headless.jsonl").write_text("\n".join(text[1:]))
    with pytest.raises(ValueError, match="does not start with a scores header"):
        recompute(tmp_path / "headless.jsonl")


def test_no_scores_at_all_hold(header: Header) -> None:
    verdict = judge([], header([]))
    assert verdict.decision is Decision.HOLD
    assert {found.outcome for found in verdict.metrics} == {"missing"}


def test_slices_guard_what_the_average_hides(lines: Lines, header: Header, tmp_path: Path) -> None:
    import yaml

    from flywheel.components.evaluation.verdict.spec import DEFAULT

    content = yaml.safe_load(DEFAULT.read_text())
    content["metrics"].append(
        {
            "name": "by_topic",
            "measure": "accuracy",
            "role": "slice",
            "direction": "higher",
            "suites": ["untouched"],
            "margin": 0.08,
            "slice_by": "topic",
            "min_items": 40,
        }
    )
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(content))
    spec = read_spec(tmp_path / "spec.yaml")
    made = lines()
    verdict = judge(made, header(made), spec)
    assert verdict.decision is Decision.PROMOTE, verdict.reasons
    assert [found.name for found in verdict.metrics if found.role == "slice"] == [
        "by_topic[topic=a]",
        "by_topic[topic=b]",
    ]
    rare = [
        line.model_copy(update={"slices": {"topic": "rare"}})
        if line.item_id in ("untouched-1", "untouched-3")
        else line
        for line in made
    ]
    names = [found.name for found in judge(rare, header(rare), spec).metrics if found.role == "slice"]
    assert "by_topic[topic=other]" in names, "rare values are pooled, none escapes"
    hurt = [
        change(line, correct=False, answer="x")
        if line.suite == "untouched" and line.slices["topic"] == "b" and int(line.item_id[10:]) % 10 in (1, 3)
        else line
        for line in made
    ]
    assert metric(judge(hurt, header(hurt), spec), "by_topic[topic=b]").outcome == "inferior"


def test_several_primaries_are_held_to_holm(lines: Lines, header: Header) -> None:
    spec = read_spec()
    primary = next(found for found in spec.metrics if found.role == "primary")
    weak = [
        change(line, correct=line.suite != "changed" or number < 5) for number, line in enumerate(lines(right=0.0))
    ]  # 5 gains and no loss: p = 1/32 by the sign test over clusters of 1
    weak = [line.model_copy(update={"cluster": line.item_id}) for line in weak]
    weak = [change(line, answer=f"{number} {line.candidate.correct}") for number, line in enumerate(weak)]
    alone = judge(weak, header(weak))
    assert metric(alone, "accuracy_changed").p_value == pytest.approx(1 / 32)
    twin = primary.model_copy(update={"name": "twin", "suites": ("unseen",)})
    both = judge(weak, header(weak), spec.model_copy(update={"metrics": (*spec.metrics, twin)}))
    assert metric(both, "accuracy_changed").p_value == pytest.approx(2 / 32)
    assert (alone.decision, both.decision) == (Decision.PROMOTE, Decision.HOLD)


def test_recomputed_verdict_is_byte_equal(scores: Path, tmp_path: Path) -> None:
    verdict = decide(read_scores(scores), read_spec(), "another run")
    verdict.write(tmp_path / "verdict.json")
    again = check(tmp_path / "verdict.json", scores)
    assert again.equal and again.differences == ()
    assert again.verdict.to_json() == (tmp_path / "verdict.json").read_text()
    text = scores.read_text()
    scores.write_text(text.replace('"tokens":9,', '"tokens":8,', 1))
    forged = check(tmp_path / "verdict.json", scores)
    assert not forged.equal and "scores_digest" in forged.differences


def test_order_of_items_does_not_matter(lines: Lines, header: Header) -> None:
    made = lines()
    shuffled = [made[place] for place in np.random.default_rng(1).permutation(len(made))]
    first, second = judge(made, header(made)), judge(shuffled, header(shuffled))
    assert first.decision == second.decision
    for here, there in zip(first.metrics, second.metrics, strict=True):
        assert here.outcome == there.outcome
        assert here.difference == pytest.approx(there.difference, abs=1e-12)


@pytest.mark.slow
def test_large_sets_are_judged_too(lines: Lines, header: Header, tmp_path: Path) -> None:
    made = lines(sizes={"changed": 6_000, "untouched": 6_000, "unseen": 4_000, "safety": 1_000})
    write_scores(tmp_path / "s.jsonl", header(made), made)
    verdict = recompute(tmp_path / "s.jsonl", run_id="run")
    assert verdict.decision is Decision.PROMOTE, verdict.reasons
    assert [found.n for found in verdict.metrics] == [6_000, 6_000, 4_000, 10_000, 1_000, 3_400, 17_000]
