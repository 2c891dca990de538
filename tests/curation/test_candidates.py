"""Rows that lie on disk are decided on as rows in memory are."""

import random

import pyarrow as pa
import pytest

from flywheel.components.curation.duplicates import deduplication
from flywheel.components.curation.guards.coalition import Audience
from flywheel.components.curation.guards.trusted_items import trusted_of
from flywheel.components.curation.routing import router
from flywheel.components.curation.routing.candidates import Candidates, Decided, Names, Picked
from tests.curation.test_router import calibration

ASKED = "How long is the warranty of the Borel {}?"
SCHEMA = pa.schema(
    [*deduplication.SCHEMA, ("category", pa.string()), ("confidence", pa.float64()), ("held", pa.string())]
)


def rows_of(candidate, seed: int, number: int = 150) -> list[dict]:
    """Rows of all kinds: claims that agree and that do not, spam, words of people, held and unsure ones, one greedy."""
    draw, made = random.Random(seed), []
    for n in range(number):
        question = draw.randrange(12)
        users = tuple(dict.fromkeys(f"u{draw.randrange(30)}" for _ in range(draw.randrange(1, 4))))
        more = {"confidence": draw.choice([0.4, 0.95, 0.99]), "held": draw.choice(["", "", "", "annotator_failed"])}
        more |= {
            "decided": draw.choice([""] * 9 + ["accept", "reject", "tie"]),
            "category": draw.choice(["factual", "tone"]),
        }
        more |= {
            "context": draw.choice(["", "Größe?"]),
            "messages": "[]",
            "comment": "",
            "source": "log",
            "group_id": f"g{n}",
        }
        more |= {"language": draw.choice(["", "de"]), "endorsers": draw.sample(["u1", "u2", "x"], draw.randrange(3))}
        if draw.random() < 0.1:
            more |= {"correction": "asdf asdf"}
        if n % 7 == 0:
            users, more = ("greedy",), more | {"confidence": 0.99, "held": "", "decided": "", "category": "tone"}
        claim = (str(draw.choice([36, 48])),) if n % 3 else ()
        made.append(candidate(claim, users, n / 3, question=f"q{question}", prompt=ASKED.format(question), **more))
    return made


def told(routed: router.Routed) -> tuple:
    names = ("interaction_id", "candidate_id", "language", "route", "reason", "correction", "claim", "confidence")
    rows = [tuple(row[name] for name in names) for row in routed.rows]
    seen = routed.inspection
    return rows, routed.audit, routed.asked, routed.routes(), routed.reasons(), seen.conflicts, seen.findings, seen.law


@pytest.mark.parametrize("seed", [1, 5])
def test_rows_on_disk_are_decided_on_as_rows_in_memory(candidate, seed):
    rows = rows_of(candidate, seed)
    how = {"trusted": trusted_of([("", ASKED.format(3), "36 months")]), "audience": Audience(500, 400)}
    expected = router.route(rows, calibration(0.97), "run", 9.0, **how)
    with Candidates(SCHEMA) as spilled:
        for start in range(0, len(rows), 40):
            spilled.add(rows[start : start + 40])
        found = router.route(spilled.finish(), calibration(0.97), "run", 9.0, **how)
        assert told(found) == told(expected)
        assert dict(spilled[3]).items() >= {name: rows[3][name] for name in ("prompt", "context", "supporters")}.items()
    assert set(expected.reasons()) > {
        "gibberish",
        "low_confidence",
        "annotator_failed",
        "subject_cap",
        "rejected_in_review",
    }
    assert expected.inspection.conflicts
    assert expected.asked


def test_views_follow_the_rows_that_they_show(candidate):
    made = Decided([candidate(question=f"q{n}") for n in range(4)])
    for n in range(4):
        made.name(f"{n:032x}")
    some, names = Picked(made, [3, 1]), Names(made, [3, 1])
    made.settle(1, "review", "because")
    assert [(row["question_id"], row["reason"]) for row in some] == [("q3", ""), ("q1", "because")]
    assert some[-1]["candidate_id"] == names[1] == f"{1:032x}"
    assert names[:1] == [f"{3:032x}"]
    assert [row["route"] for row in made[1:3]] == ["review", "accept"]
    with pytest.raises(IndexError):
        some[2]
