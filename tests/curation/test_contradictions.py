from flywheel.components.curation.guards import contradictions, poison_guard
from flywheel.components.curation.guards.contradictions import winner


def test_the_lead_that_the_error_rate_asks_for():
    odds = (contradictions.VOTER_RIGHT / (1 - contradictions.VOTER_RIGHT)) ** contradictions.LEAST_LEAD
    assert 1 / (1 + odds) <= contradictions.WRONG_WINNER
    assert 1 / (1 + odds / 4) > contradictions.WRONG_WINNER  # one vote less would not do


def test_a_majority_wins_only_with_that_lead():
    assert winner({("36",): 3, ("48",): 1, None: 0}) == (("36",), False)
    assert winner({("36",): 5, ("48",): 1, None: 1}) == (("36",), True)
    assert winner({("36",): 0, None: 4}) == (None, True)
    assert winner({("36",): 12, ("48",): 6, None: 1})[1] is False  # less than twice the others


def test_people_get_both_sides_and_no_names(candidate):
    rows = [
        candidate(("36",), ("ann", "bob")),
        candidate(("48",), ("eve",)),
        candidate(("36",), ("cyd",), endorsers=["dan"]),
    ]
    found = poison_guard.examine(rows, 9.0, ids=["one", "two", "three"])
    assert {finding.reason for finding in found.findings.values()} == {"conflicting"}
    (conflict,) = found.conflicts
    assert conflict["question"] == rows[0]["prompt"]
    sides = [(side["claim"], side["supporters"], side["rows"]) for side in conflict["sides"]]
    assert sides == [("36", 3, ["one", "three"]), ("48", 1, ["two"]), ("", 1, [])]
    assert conflict["sides"][2]["example"] == rows[0]["response"]
    assert not {"ann", "bob", "cyd", "dan", "eve"} & set(str(conflict).replace("'", " ").split())


def test_what_is_settled_is_no_conflict(candidate):
    rows = [candidate(("36",), tuple(f"u{i}" for i in range(8))), candidate(("48",), ("x",))]
    found = poison_guard.examine(rows, 9.0)
    assert found.conflicts == []
    assert {index: (f.route, f.reason) for index, f in found.findings.items()} == {1: ("discard", "contradicted")}


def test_people_read_both_sides_where_they_are_asked(candidate):
    rows = [candidate(("36",), ("ann", "bob")), candidate(("48",), ("eve",), endorsers=["dan"])]
    (conflict,) = poison_guard.examine(rows, 9.0, ids=["one", "two"]).conflicts
    assert contradictions.in_words(conflict) == (
        '2 users say "The Borel 7 has a warranty of 36 months."; 1 user says "The Borel 7 has a warranty of 48 months."; '
        "1 user liked the answer as it was"
    )
