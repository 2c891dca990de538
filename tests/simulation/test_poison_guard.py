"""What the poison guard lets through and what it costs, over many shapes of attack (the issue's goal: at most 0.1 %)."""

from functools import cache

import pytest

from flywheel.components.curation.guards import poison_guard, trusted_items
from flywheel.components.statistics.binomial_bounds import upper_bound
from flywheel.scripts.benchmarks.curation import poison_worlds
from flywheel.scripts.benchmarks.curation.poison_worlds import SHAPES, Size

pytestmark = pytest.mark.simulation

RATED = Size()
QUIET = Size(content=0.02, unaware=0.004, corrects=0.2)  # hardly anybody rates answers, fewer correct them
GOAL = 0.001
# Without ratings of others and trusted items nothing tells these from customers who know better.
BEYOND = {("established_drip", "quiet"): 0.03, ("trios", "quiet"): 0.01}
SEEDS = 3


@cache
def outcome(shape: str, size: Size) -> dict[str, int]:
    """Rows over some worlds: accepted, accepted bad ones, true ones, and where these went."""
    counts = dict.fromkeys(("accepted", "bad", "bad_accepted", "true", "true_discarded", "true_in_review", "news",
                            "news_held", "false_accepted", "worlds_with_groups"), 0)  # fmt: skip
    for seed in range(SEEDS):
        world = poison_worlds.attacked(seed, shape, size) if shape else poison_worlds.honest_world(seed, size)
        rows = poison_worlds.rows(world)
        findings = poison_guard.inspect(rows, poison_worlds.median_activity(world))
        left = [index for index in range(len(rows)) if index not in findings]
        capped = {left[index] for index in poison_guard.over_cap([rows[index] for index in left], 0.02)}
        accepted = [rows[index] for index in left if index not in capped]
        counts["accepted"] += len(accepted)
        counts["bad"] += sum(row["bad"] and row["false"] for row in rows)
        counts["bad_accepted"] += sum(row["bad"] and row["false"] for row in accepted)
        counts["false_accepted"] += sum(row["false"] for row in accepted)
        held = {index: finding for index, finding in findings.items() if not rows[index]["false"]}
        counts["true"] += sum(not row["false"] for row in rows)
        counts["true_discarded"] += sum(finding.route == "discard" for finding in held.values())
        counts["true_in_review"] += sum(finding.route == "review" for finding in held.values())
        counts["news"] += sum(row["news"] and not row["false"] for row in rows)
        counts["news_held"] += sum(rows[index]["news"] for index in held)
        counts["worlds_with_groups"] += any(found.reason in ("coordinated", "pushed") for found in findings.values())
    return counts


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["rated", "quiet"])
def test_coordinated_corrections_hardly_reach_the_training_rows(shape, kind):
    counts = outcome(shape, RATED if kind == "rated" else QUIET)
    assert counts["bad"] >= 2 * SEEDS
    assert counts["bad_accepted"] <= BEYOND.get((shape, kind), GOAL) * counts["accepted"]


@pytest.mark.parametrize("shape", ["established_drip", "trios", "niche"])
def test_trusted_items_stop_what_votes_cannot(shape):
    world = poison_worlds.attacked(1, shape, QUIET)
    rows = poison_worlds.rows(world)
    targets = {event.fact for event in world.events if event.bad}
    vouched = [
        ("", question.format(**poison_worlds.words(fact)), poison_worlds.answer(world, fact))
        for fact in targets
        for question in poison_worlds.QUESTIONS
    ]
    findings = poison_guard.inspect(rows, poison_worlds.median_activity(world), trusted_items.trusted_of(vouched))
    bad = [index for index, row in enumerate(rows) if row["bad"]]
    assert bad
    assert all(index in findings for index in bad)


@pytest.mark.parametrize("kind", ["rated", "quiet"])
def test_honest_corrections_are_hardly_held_back(kind):
    counts = outcome("", RATED if kind == "rated" else QUIET)
    assert counts["true_discarded"] <= 0.005 * counts["true"]
    assert counts["true_in_review"] <= 0.08 * counts["true"]
    assert counts["false_accepted"] <= 0.01 * counts["accepted"]


def test_a_change_that_very_many_correct_at_once_is_no_attack():
    counts = outcome("", QUIET)
    assert counts["news"] >= 5 * SEEDS
    assert counts["news_held"] == 0


def test_honest_worlds_raise_no_more_alarms_of_groups_than_stated():
    """Two kinds of alarm at 1 % each; small worlds, so that many can be tried."""
    size, worlds, alarms = Size(users=250, facts=60, asks=3000), 60, 0
    for seed in range(worlds):
        world = poison_worlds.honest_world(1000 + seed, size)
        found = poison_guard.inspect(poison_worlds.rows(world), poison_worlds.median_activity(world))
        alarms += any(finding.reason in ("coordinated", "pushed") for finding in found.values())
    # more than 4 of 60 would have a probability below 1 % at the stated 2 %
    assert alarms <= 4, f"{alarms} of {worlds}; upper limit {upper_bound(alarms, worlds):.1%}"


def test_the_log_of_a_world_says_what_its_rows_say():
    """The bench goes through the texts, the simulation does not: both must see the same claims."""
    from statistics import median

    from flywheel.components.curation import corrections
    from flywheel.components.curation.duplicates import deduplication
    from flywheel.components.curation.guards import askers
    from flywheel.components.curation.stages.votes import lexicon_of
    from flywheel.scripts.benchmarks.curation.peers import poison_ours

    world = poison_worlds.attacked(3, "entity", Size(users=120, facts=30, asks=1500))
    log = poison_worlds.log_of(world)
    interactions = poison_ours._table(log["interactions"], "interactions")
    feedback = poison_ours._table(log["feedback"], "feedback")
    found = corrections.collect(interactions, feedback)
    lexicon = lexicon_of(interactions, found.rows["correction"].to_pylist())
    contexts = [""] * interactions.num_rows
    asked = askers.last_asked(interactions, found.rows["response"].to_pylist(), lexicon, contexts)
    votes = deduplication.endorsements(interactions, feedback, lexicon, contexts)
    activity = deduplication.activity_of(interactions)
    through_texts = deduplication.deduplicate(found.rows, lexicon, activity, votes, asked=asked).rows.to_pylist()
    direct = poison_worlds.rows(world)
    assert float(median(activity.values())) == poison_worlds.median_activity(world)
    supporters: dict[str, set[str]] = {}
    for row in direct:
        supporters.setdefault(f"{row['response']}|{row['claim'][0]}", set()).update(row["supporters"])
    seen: dict[str, set[str]] = {}
    for row in through_texts:
        value = next(part for part in row["claim"] if part.isdigit())
        seen.setdefault(f"{row['response']}|{value}", set()).update(row["supporters"])
    assert seen == supporters
    most = {row["response"]: row["askers"] for row in sorted(direct, key=lambda row: row["askers"])}
    assert {row["response"]: row["askers"] for row in sorted(through_texts, key=lambda row: row["askers"])} == most
