import pytest

from flywheel.components.curation.guards import poison_guard
from flywheel.components.curation.guards.poison_guard import inspect, over_cap
from flywheel.components.curation.texts.claims import claim_of
from flywheel.components.curation.texts.entity_lexicon import build

MEDIAN = 9.0


def honest(candidate, number=40):
    """Claims about other questions by long-active users, over days."""
    return [
        candidate((str(i),), tuple(f"h{i}-{j}" for j in range(3)), hours=6.0 * i, other=10, question=f"other{i}")
        for i in range(number)
    ]


def test_a_burst_of_fresh_accounts_is_caught(candidate):
    rows = honest(candidate)
    rows += [candidate(("99",), (f"fresh{i}",), hours=100 + i / 10, other=0) for i in range(12)]
    findings = inspect(rows, MEDIAN)
    assert {i: (f.route, f.reason) for i, f in findings.items()} == dict.fromkeys(
        range(40, 52), ("discard", "coordinated")
    )


def test_a_row_that_an_honest_user_shares_goes_to_a_person(candidate):
    rows = honest(candidate)
    rows.append(candidate(("99",), (*(f"fresh{i}" for i in range(12)), "h1-0"), supporter_activity=[1] * 12 + [20]))
    assert inspect(rows, MEDIAN)[40].route == "review"


def test_active_users_who_all_correct_a_changed_fact_are_no_group(candidate):
    rows = honest(candidate) + [candidate(("99",), (f"u{i}",), hours=100 + i / 10, other=10) for i in range(12)]
    assert inspect(rows, MEDIAN) == {}


def test_fresh_users_spread_over_months_are_no_burst_and_prove_nothing(candidate):
    rows = honest(candidate) + [candidate(("99",), (f"u{i}",), hours=400.0 * i, other=0) for i in range(12)]
    findings = inspect(rows, MEDIAN)
    assert sorted(findings) == list(range(40, 52))
    assert {(f.route, f.reason) for f in findings.values()} == {("review", "no_history")}


def test_without_histories_nobody_is_accused(candidate):
    rows = [candidate(("99",), (f"u{i}",), other=0) for i in range(12)]
    assert inspect(rows, 1.0) == {}


def test_the_answer_of_a_clear_majority_wins(candidate):
    rows = [candidate(("36",), (f"u{i}",)) for i in range(6)] + [candidate(("48",), ("x",)), candidate(("60",), ("y",))]
    findings = inspect(rows, MEDIAN)
    assert set(findings) == {6, 7}
    assert {(f.route, f.reason) for f in findings.values()} == {("discard", "contradicted")}


def test_without_a_clear_majority_people_decide(candidate):
    rows = [candidate(("36",), ("a", "b")), candidate(("48",), ("c",))]
    assert {(f.route, f.reason) for f in inspect(rows, MEDIAN).values()} == {("review", "conflicting")}


def test_users_without_history_do_not_outvote(candidate):
    rows = [candidate(("36",), (f"u{i}",), other=9) for i in range(3)]
    rows += [candidate(("48",), (f"f{i}",), hours=300.0 * i, other=0) for i in range(9)]
    findings = inspect(rows, MEDIAN)
    assert sorted(findings) == list(range(3, 12))
    assert {f.reason for f in findings.values()} == {"contradicted"}


def test_later_up_votes_defend_the_original_answer(candidate):
    lone = [candidate(("48",), ("x",), endorsers=["a", "b", "c", "d"])]
    assert inspect(lone, MEDIAN)[0].reason == "contradicted"
    assert inspect([candidate(("48",), ("x",), endorsers=["a"])], MEDIAN)[0].reason == "conflicting"
    many = [candidate(("48",), tuple(f"u{i}" for i in range(9)), endorsers=["a"])]
    assert inspect(many, MEDIAN) == {}


def test_wordings_of_one_claim_and_other_questions_do_not_conflict(candidate):
    rows = [candidate(("36",), ("a",)), candidate(("36", "terms"), ("b",)), candidate(("5",), ("c",), question="p")]
    assert inspect(rows, MEDIAN) == {}


def test_rewrites_in_tone_do_not_contradict(candidate):
    rows = [candidate((word,), (word,), category="tone") for word in ("glad", "happy", "welcome")]
    assert inspect(rows, MEDIAN) == {}


def test_one_subject_cannot_flood_the_accepted_rows(candidate):
    rows = [candidate(by=("greedy",), hours=i) for i in range(60)] + [candidate(by=(f"u{i}",)) for i in range(200)]
    out = over_cap(rows, 0.02)
    left = [row for i, row in enumerate(rows) if i not in out]
    mine = sum(row["subject"] == "greedy" for row in left)
    assert mine == poison_guard.LEAST_ROWS_PER_SUBJECT
    assert mine <= max(poison_guard.LEAST_ROWS_PER_SUBJECT, 0.02 * len(left))
    assert [row["timestamp"] for row in left[:mine]] == sorted(row["timestamp"] for row in rows[:60])[:mine]
    shared = [candidate(by=("greedy", "other"), hours=i) for i in range(60)]
    assert over_cap(shared, 0.02) == set()
    assert over_cap([], 0.02) == set()
    with pytest.raises(ValueError, match="max_share_per_subject"):
        over_cap([], 0)


@pytest.mark.parametrize(
    ("correction", "claim"),
    [
        ("the quenby 9 has a warranty of 9 months", ("9",)),
        ("9 months", ("9",)),
        ("36 months since may", ("36",)),
        ("it has no warranty", ("not",)),
        ("the quenby 9 has a warranty of 24 months", ()),
        ("a lifetime warranty", ("lifetime",)),
    ],
)
def test_claims_are_the_values(correction, claim):
    names = build(["the Quenby 9 is new", "I bought the Quenby 9"])
    said = claim_of(
        "how long is the warranty of the quenby 9", "the quenby 9 has a warranty of 24 months", correction, names
    )
    assert said == claim
