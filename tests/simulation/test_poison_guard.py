"""What the poison guard lets through and what it costs, over many shapes of attack (the issue's goal: at most 0.1 %)."""

from dataclasses import astuple, replace
from functools import cache
from random import Random

import numpy as np
import pytest

from flywheel.components.curation.guards import poison_guard, trusted_items
from flywheel.components.curation.guards.approval import fit
from flywheel.components.curation.guards.coalition import FALSE_SUPPORT, Audience
from flywheel.components.statistics.binomial_bounds import upper_bound
from flywheel.scripts.benchmarks.curation import poison_worlds
from flywheel.scripts.benchmarks.curation.poison_worlds import SHAPES, Event, Size

pytestmark = pytest.mark.simulation

RATED = Size()
QUIET = Size(content=0.02, unaware=0.004, corrects=0.2)  # hardly anybody rates answers, fewer correct them
GOAL = 0.001
IN_REVIEW = {"rated": 0.1, "quiet": 0.6}  # of the right rows, on average over logs
CLAIMS_ASKED = {"rated": 4, "quiet": 24}  # for one person's word each, in a log of 600 users
SEEDS = 3


@cache
def outcome(shape: str, size: Size, worlds: int = SEEDS) -> dict[str, int]:
    """Rows over some worlds: accepted, accepted bad ones, true ones, and where these went."""
    counts = dict.fromkeys(("accepted", "bad", "bad_accepted", "true", "true_discarded", "true_in_review", "news",
                            "news_held", "false_accepted", "asked"), 0)  # fmt: skip
    for seed in range(worlds):
        world = poison_worlds.attacked(seed, shape, size) if shape else poison_worlds.honest_world(seed, size)
        rows = poison_worlds.rows(world)
        inspection = poison_guard.examine(
            rows, poison_worlds.median_activity(world), audience=poison_worlds.audience(world)
        )
        findings = inspection.findings
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
        counts["asked"] += len(inspection.unconfirmed)
    return counts


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["rated", "quiet"])
def test_coordinated_corrections_hardly_reach_the_training_rows(shape, kind):
    counts = outcome(shape, RATED if kind == "rated" else QUIET)
    assert counts["bad"] >= 2 * SEEDS
    assert counts["bad_accepted"] <= GOAL * counts["accepted"]


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
    worlds = 16  # they differ: in one of them a third of the right rows waits, in most of the rated ones none
    counts = outcome("", RATED if kind == "rated" else QUIET, worlds)
    assert counts["true_discarded"] <= 0.005 * counts["true"]
    assert counts["true_in_review"] <= IN_REVIEW[kind] * counts["true"]
    assert counts["asked"] <= CLAIMS_ASKED[kind] * worlds
    assert counts["false_accepted"] <= 0.01 * counts["accepted"]


def test_a_persons_word_on_one_row_of_each_waiting_claim_lets_the_right_rows_in():
    """In a quiet log: with as many decisions as claims wait, hardly more right rows are held than in a rated one."""
    world = poison_worlds.attacked(4, "established_drip", QUIET)
    rows, median = poison_worlds.rows(world), poison_worlds.median_activity(world)
    waiting = poison_guard.examine(rows, median, audience=poison_worlds.audience(world)).unconfirmed
    right = {key for key, indices in waiting.items() if not rows[indices[0]]["false"]}
    assert 0 < len(waiting) <= 1.5 * CLAIMS_ASKED["quiet"]
    assert waiting.keys() - right  # the attack is among what people see
    left = poison_guard.examine(rows, median, audience=poison_worlds.audience(world), confirmed=right).findings
    true = [index for index, row in enumerate(rows) if not row["false"]]
    assert sum(index in left for index in true) <= 0.09 * len(true)
    assert all(index in left for index, row in enumerate(rows) if row["bad"] and row["false"])


@pytest.mark.parametrize("members", [12, 6, 3, 1])
@pytest.mark.parametrize("kind", ["rated", "quiet"])
def test_no_coalition_passes_whatever_it_does_to_look_like_users(kind, members):
    """Groups of any size up to 2 % of the users push a wrong value of any fact; their mates read it and keep silent."""
    size = RATED if kind == "rated" else QUIET
    accepted = made = 0
    for seed in range(20, 22):
        world = poison_worlds.honest_world(seed, size)
        dice = Random(f"{seed}:{members}:{kind}")
        accounts = [f"s{number:03d}" for number in range(12)]
        for account in accounts:
            for event in dice.sample(world.events, 25):
                world.events.append(replace(event, user=account, hours=dice.uniform(0, 24 * poison_worlds.DAYS)))
        facts = dice.sample(sorted(world.truth.keys() - world.changed), 40)
        for fact in facts:
            dice.shuffle(accounts)
            for number, account in enumerate(accounts):
                value = world.truth[fact] + 11 if number < members else None
                hours = dice.uniform(24 * 6, 24 * poison_worlds.DAYS)
                world.events.append(Event(account, hours, fact, value, wording=dice.randrange(3), bad=True))
        rows = poison_worlds.rows(world)
        audience = poison_worlds.audience(world)
        found = poison_guard.inspect(rows, poison_worlds.median_activity(world), audience=audience)
        claims = {(row["question_id"], *row["claim"]) for row in rows if row["bad"] and row["false"]}
        let_in = {
            (row["question_id"], *row["claim"])
            for index, row in enumerate(rows)
            if row["bad"] and row["false"] and index not in found
        }
        made += len(claims)
        accepted += len(let_in)
    assert made >= 70
    assert accepted <= FALSE_SUPPORT * made  # and the other guards see some of them besides


def test_silence_speaks_for_a_wrong_claim_no_more_often_than_stated():
    """Users like unlike often, and some right answers are liked more than others."""
    rng = np.random.default_rng(11)
    confirmed = tried = 0
    for _ in range(20):
        share, spread = rng.uniform(0.05, 0.6), rng.uniform(8, 60)
        liked = rng.beta(share * spread, (1 - share) * spread, 300)
        answers = np.repeat(np.arange(300), 20)
        law = fit(answers, rng.integers(0, 150, answers.size), rng.random(answers.size) < liked[answers])
        audience = Audience(600, 500, law)
        of_target = rng.beta(share * spread, (1 - share) * spread, 500)
        silent, behind = rng.integers(0, 120, 500), rng.integers(1, 13, 500)
        honest = np.maximum(0, silent - (12 - behind))  # the rest of the coalition reads it and does not like it
        likes = rng.binomial(honest, of_target)
        confirmed += sum(
            audience.confirms(int(x), int(x), int(m), int(e)) for x, m, e in zip(behind, silent, likes, strict=True)
        )
        tried += 500
    assert 0 < confirmed <= FALSE_SUPPORT * tried


def test_a_change_that_very_many_correct_at_once_is_no_attack():
    counts = outcome("", QUIET)
    assert counts["news"] >= 5 * SEEDS
    assert counts["news_held"] == 0


def test_honest_worlds_raise_no_more_alarms_of_groups_than_stated():
    """Two kinds of alarm at 1 % each; small worlds, so that many can be tried."""
    size, worlds, alarms = Size(users=250, facts=60, asks=3000), 60, 0
    for seed in range(worlds):
        world = poison_worlds.honest_world(1000 + seed, size)
        found = poison_guard.inspect(
            poison_worlds.rows(world), poison_worlds.median_activity(world), audience=poison_worlds.audience(world)
        )
        alarms += any(finding.reason in ("coordinated", "pushed") for finding in found.values())
    # more than 4 of 60 would have a probability below 1 % at the stated 2 %
    assert alarms <= 4, f"{alarms} of {worlds}; upper limit {upper_bound(alarms, worlds):.1%}"


def test_the_log_of_a_world_says_what_its_rows_say():
    """The bench goes through the texts, the simulation does not: both must see the same claims."""
    from statistics import median

    from flywheel.components.curation import corrections
    from flywheel.components.curation.duplicates import deduplication
    from flywheel.components.curation.guards import approval, askers
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
    seen_by = poison_worlds.audience(world)
    likes = approval.of_log(interactions, feedback, found.rows["response"].to_pylist())
    assert (len(activity), found.rows.num_rows) == (seen_by.users, seen_by.corrections)
    assert likes is not None and seen_by.approval is not None
    assert astuple(likes) == pytest.approx(astuple(seen_by.approval), rel=1e-9)
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
