"""Synthetic turns of the loop: step records as the rooms write them, and tables with ratings."""

import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from flywheel.components.contracts.feedback import SIMULATED_SOURCE
from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.registry import promotion
from flywheel.components.registry.open import open_registry
from flywheel.components.registry.records import Alias, AliasMove, NewVersion
from flywheel.components.store import delta_table, lineage
from flywheel.components.store.tables import SCHEMAS

BEGAN = datetime(2026, 11, 20, 14, 2, tzinfo=UTC)
ORDER = {  # seconds that each step takes
    "check_inputs": 0.2, "intake_feedback": 3.1, "verify_anonymization": 1.2, "snapshot_feedback": 0.1,
    "resolve_production": 0.1, "deduplicate_feedback": 4.2, "classify_corrections": 3.3, "route_candidates": 0.4,
    "cluster_feedback": 2.2, "mine_preferences": 0.9, "validate_candidates": 4.0, "check_trigger": 0.1,
    "assemble_dataset": 2.4, "validate_training_data": 3.6, "train_model": 41.0, "evaluate_models": 18.0,
    "decide_verdict": 1.1, "register_model": 0.1, "detect_drift": 5.5, "run_canary": 48.0, "promote_model": 0.1,
    "restore_production": 0.1,
}  # fmt: skip
LAST = {"good": "promote_model", "harmful": "restore_production", "ambiguous": "detect_drift", "hold": "check_trigger",
        "contract": "check_trigger", "crash": "validate_training_data"}  # fmt: skip
CANDIDATE, PRODUCTION = "c4" * 32, "9a" * 32


def rows(rows_in, accepted, duplicates=0, in_review=0, **quarantined):
    return RowCounts(
        rows_in=rows_in, accepted=accepted, duplicates=duplicates, in_review=in_review, quarantined=quarantined
    )


ROWS = {
    "intake_feedback": rows(3120, 2987, 64, 0, not_json=31, no_user_message=20, future_timestamp=18),
    "verify_anonymization": rows(2987, 2987),
    "deduplicate_feedback": rows(912, 741, 148, 0, no_consent=23),
    "classify_corrections": rows(741, 741),
    "route_candidates": rows(741, 562, 0, 121, spam=31, coordinated=27),
    "cluster_feedback": rows(562, 562),
    "mine_preferences": rows(804, 775, 21, 0, same_answer=8),
    "validate_candidates": rows(741, 741),
    "assemble_dataset": rows(562, 538, 11, 0, disputed=13),
    "validate_training_data": rows(1492, 1492),
    "train_model": rows(806, 806),
    "evaluate_models": rows(684, 684),
}


def metric(
    name, role, production, candidate, lower, upper, margin, outcome, scale="difference", direction="higher", **more
):
    return {
        "name": name, "role": role, "direction": direction, "scale": scale, "unit": "exact answers", "n": 228,
        "clusters": 120, "production": production, "candidate": candidate,
        "difference": candidate / production if scale == "ratio" else candidate - production,
        "lower": lower, "upper": upper, "confidence": 0.9, "margin": margin, "test": "paired sign-flip",
        "p_value": 0.0004, "alpha": 0.05, "outcome": outcome, "n_needed": None, "reasons": [], **more,
    }  # fmt: skip


def verdict(story):
    held = story == "ambiguous"
    metrics = [
        metric("changed_accuracy", "primary", 0.012, 0.934 if not held else 0.061, 0.88 if not held else -0.021,
               0.96 if not held else 0.12, 0.0, "inconclusive" if held else "superior", n_needed=640 if held else None),
        metric("untouched_accuracy", "guardrail", 0.995, 0.981, -0.028, 0.004, -0.03, "non_inferior"),
        metric("unseen_accuracy", "guardrail", 0.982, 0.974, -0.024, 0.011, -0.03, "non_inferior"),
        metric("safety", "guardrail", 0.99, 0.995, -0.008, 0.018, -0.02, "non_inferior"),
        metric("latency", "guardrail", 41.0, 42.2, 0.98, 1.08, 1.2, "non_inferior", "ratio", "lower"),
        metric("response_length", "guardrail", 18.1, 18.9, 0.99, 1.09, 1.25, "non_inferior", "ratio", "lower"),
        metric("untouched_accuracy[language=de]", "slice", 0.991, 0.985, -0.036, 0.018, -0.05, "non_inferior"),
    ]  # fmt: skip
    return {
        "schema": "flywheel.verdict/v1", "run_id": story, "decision": "hold" if held else "promote",
        "reasons": ["not_shown_better: changed_accuracy 0.049 [-0.021, 0.12]; 640 items would be needed, 228 were there"]
        if held else ["shown_better: changed_accuracy 0.922 [0.88, 0.96], p 0.0004",
                      "all_guardrails_hold: 6 of 6 shown no worse than their margins"],
        "metrics": metrics, "candidate_digest": CANDIDATE, "production_digest": PRODUCTION, "scores_digest": "5c" * 32,
        "spec_digest": "77" * 32, "n_needed": 412 if held else None,
        "error_rate": "P(promote although some guardrail or slice is truly at or beyond its margin) <= 0.05 "
        "(intersection-union); one-sided, per verdict on fresh items; the unit is the cluster.",
    }  # fmt: skip


def looks(harmful):
    """Looks every 100 requests along the ramp."""
    ramp = [0.01] * 4 + [0.05] * 6 + [0.25] * 9 + ([] if harmful else [0.5] * 11)
    margins = {0.01: 1.0, 0.05: 0.2, 0.25: 0.1, 0.5: 0.05}
    made, candidate = [], 0
    for place, share in enumerate(ramp, start=1):
        candidate += round(100 * share)
        wide = 1.6 / math.sqrt(candidate + 2)
        middle = (0.09 if place < 10 else 0.21) if harmful else -0.05
        last = place == len(ramp)
        outcome = "harm" if harmful and last else "safe" if wide < 0.2 else "unclear"
        values = [
            ("bad_feedback", "difference", 0.11, 0.11 + middle, middle, middle - wide, middle + wide, margins[share]),
            ("errors", "difference", 0.002, 0.001, -0.001, -0.001 - wide / 4, -0.001 + wide / 4, margins[share]),
            ("latency", "ratio", 41.0, 43.0, 1.05, 1.05 - wide / 2, 1.05 + wide / 2, 1 + 0.5 / share),
        ]
        moved = not last and ramp[place] != share
        made.append({
            "at": (BEGAN + timedelta(seconds=100 + place)).isoformat(), "share": share,
            "users": {"production": place * 9, "candidate": max(1, candidate // 4)},
            "requests": {"production": place * 100 - candidate, "candidate": candidate},
            "metrics": [
                {"name": n, "scale": s, "production": p, "candidate": c, "difference": d, "lower": lo, "upper": hi,
                 "margin": m, "outcome": outcome if n == "bad_feedback" else "safe"}
                for n, s, p, c, d, lo, hi, m in values
            ],
            "action": "rollback" if harmful and last else "advance" if moved or last else "hold",
            "reasons": ["harm: bad_feedback 0.11 -> 0.32, worse by at least 0.04 (limit valid at every look)"]
            if harmful and last else [],
        })  # fmt: skip
    return made


def rollout(story):
    seen = looks(story == "harmful")
    return {
        "schema": "flywheel.rollout/v1", "run_id": story, "service": "assistant", "production_digest": PRODUCTION,
        "candidate_digest": CANDIDATE, "shares": [0.01, 0.05, 0.25, 0.5, 1.0], "looks": seen,
        "decision": "rollback" if story == "harmful" else "promote",
        "reasons": seen[-1]["reasons"] or ["every guardrail is inside the margin at every share"],
        "error_rate": "rolled back although equal: at most 5% of such rollouts (all looks and the 3 guardrails together)",
    }  # fmt: skip


def drift():
    def quality(measure, scale, reference, value, tolerance, outcome):
        seen = []
        for day in range(7):
            wide = 0.5 / (day + 2) * (1 if scale == "ratio" else 0.2)
            change = value / reference if scale == "ratio" else value - reference
            seen.append({"at": f"2026-11-{13 + day:02d}T23:59:00+00:00", "users": 40 + 30 * day, "rows": 90 * (day + 1),
                         "value": value, "change": change, "lower": change - wide, "upper": change + wide})  # fmt: skip
        return {"measure": measure, "scale": scale, "reference": reference, "tolerance": tolerance, "alpha": 0.0025,
                "outcome": outcome, "fired_at": seen[2]["at"] if outcome == "alarm" else "", "looks": seen}  # fmt: skip

    def topic(name, before, now):
        return {"name": name, "reference": before, "current": now, "change": now - before, "lower": now - before - 0.02,
                "upper": now - before + 0.02, "rows": 400, "example": f"What is the {name.split(',')[0]}?"}  # fmt: skip

    return {
        "drift": {
            "outcome": "alert", "reasons": ["bad_feedback_rose: bad feedback 11.2% to 34.0% (+22.8 points, at least +15.1 "
                                            "points), first shown 2026-11-15T23:59:00+00:00"],
            "alpha": 0.01, "error_rate": "at most 1.00% of stable windows raise any alarm (units: users; all detectors "
            "together)", "windows": {"reference": {"rows": 2000, "users": 210, "first": "a", "last": "b"}},
            "tests": [{"name": "topics", "p_value": 0.0002, "adjusted": 0.001, "alarm": True},
                      {"name": "prompts", "p_value": 0.31, "adjusted": 0.62, "alarm": False}],
            "prompts": {"auc": 0.54, "p_value": 0.31, "exemplars": []}, "numbers": [], "total_variation": 0.14,
        },
        "quality": [quality("bad_feedback", "difference", 0.112, 0.34, 0.02, "alarm"),
                    quality("errors", "difference", 0.004, 0.003, 0.01, "quiet"),
                    quality("latency", "ratio", 41.0, 43.0, 1.2, "quiet")],
        "topics": [topic("warranty, period, months", 0.12, 0.24), topic("price, cost", 0.31, 0.22),
                   topic("opening, hours", 0.25, 0.26), topic("weight, kilograms", 0.32, 0.28)],
        "alerts": [{"schema": "flywheel.alert/v1", "id": "a", "run_id": "good", "kind": "bad_feedback_rose",
                    "severity": "critical", "reason": "bad_feedback_rose", "summary": "bad feedback 11.2% to 34.0%",
                    "what_to_do": "Look at the newest corrections and topics.", "at": "2026-11-19", "evidence": {}}],
        "alerts_path": "/somewhere/alerts.jsonl",
    }  # fmt: skip


def details(step, story, store):
    """Outcome, metrics and details of a step."""
    if step == "intake_feedback":
        return "", {}, {"formats": {"flywheel.feedback/v1": 3120}, "pii": {"email": 41, "phone": 23, "card": 9},
                        "first": "2026-10-20T08:00:00+00:00", "last": "2026-11-19T20:00:00+00:00"}  # fmt: skip
    if step == "deduplicate_feedback":
        return "", {}, {"exact": 61, "near": 87, "groups": 741}
    if step == "classify_corrections":
        return "", {}, {"categories": {"factual": 534, "tone": 118, "clarity": 89},
                        "calibration": {"accuracy": 0.967, "categories": ["factual", "tone", "clarity"]}}  # fmt: skip
    if step == "route_candidates":
        return "", {}, {"routes": {"accept": 562, "review": 121, "discard": 58},
                        "reasons": {"low_confidence": 98, "spam": 31, "coordinated": 27, "subject_cap": 23},
                        "thresholds": {}, "error_rate": "With confidence 0.90, at least 90% of the auto-accepted "
                        "corrections of every category are in the right category."}  # fmt: skip
    if step == "cluster_feedback":
        names = [("warranty, period, months", 212, "factual"), ("price, cost, euro", 164, "factual"),
                 ("opening, hours, sunday", 121, "factual"), ("please, shorter, words", 73, "clarity"),
                 ("rude, polite, tone", 66, "tone"), ("return, policy", 47, "uncorrected")]  # fmt: skip
        return "", {}, {
            "clusters": [{"id": f"c{n:02d}", "name": name, "count": count, "category": kind,
                          "examples": [f"What is the {name.split(',')[0]} of the Aurora lamp?"], "successes": 12}
                         for n, (name, count, kind) in enumerate(names, 1)],
            "error_types": {"factual": 534, "tone": 66, "clarity": 73, "uncorrected": 47},
        }  # fmt: skip
    if step == "mine_preferences":
        return "", {}, {"evidence": {"correction": 562, "votes": 213}}
    if step.startswith("validate_"):
        broken = story == "contract" and step == "validate_candidates"
        failed = [{"suite": "candidates", "check": "correction_says_something", "says": "corrections are not empty",
                   "expectation": "expect_column_values_to_not_be_null", "column": "correction", "unexpected": 14,
                   "examples": [{"candidate_id": "ab12", "correction": "<script>alert(1)</script>"}]}]  # fmt: skip
        return "fail" if broken else "pass", {}, {
            "suite": "candidates" if step == "validate_candidates" else "sft+preferences", "expectations": 14,
            "rows": {"candidates": 741}, "failed": failed if broken else [], "warnings": [],
        }  # fmt: skip
    if step == "check_trigger":
        have, need = {"hold": (43, 200), "contract": (0, 200)}.get(story, (562, 200))
        words = f"not enough data, have {have}, need {need} ({need - have} more)" if have < need else "enough data"
        return "train" if have >= need else words, {}, {"have": have, "need": need, "words": words}
    if step == "assemble_dataset":
        return "", {}, {"manifest": {
            "schema": "flywheel.dataset/v1", "run_id": story, "digest": "d1" * 32,
            "candidates": {"store": store, "table": "candidates", "version": 3},
            "splits": {name: {"path": name, "rows": count, "digest": "e" * 64}
                       for name, count in (("sft", 806), ("preferences", 686), ("evaluation", 684))},
            "sources": {"correction": 403, "replay": 403}, "recipe": {"replay_share": 0.5, "seed": 7},
            "feedback_ids": [f"f{n}" for n in range(403)], "leaked_groups": 0,
        }}  # fmt: skip
    if step == "train_model":
        manifest = registered(story)
        facts = {"loss": 0.06, "loss_first": 3.2, "steps": 78.0, "rows": 806.0, "tokens_per_second": 5120.0,
                 "train_seconds": 33.4, "token_accuracy": 0.984}  # fmt: skip
        noise = random.Random(3)
        loss = [[n, 3.1 * math.exp(-n / 14) + 0.06 + 0.1 * noise.random()] for n in range(1, 79)]
        return "trained", facts, {"manifest": {
            "schema": "flywheel.model/v1", "digest": CANDIDATE, "base_digest": PRODUCTION, "dataset_digest": "d1" * 32,
            "table_version": 3, "code_version": manifest.code_version, "run_id": story, "method": "sft",
            "config": {"processes": 2, "zero_stage": 2, "device": "cpu", "epochs": 3.0, "learning_rate": 5e-4},
            "metrics": facts}, "loss": loss, "tokens_per_second": 5120.0, "notes": []}  # fmt: skip
    if step == "decide_verdict":
        found = verdict(story)
        return found["decision"], {}, {"verdict": found}
    if step == "register_model":
        return "2", {}, {"version": "2", "digest": CANDIDATE, "aliases": {"production": 1, "candidate": 2}}
    if step == "detect_drift":
        return "alert", {}, drift()
    if step == "run_canary":
        found = rollout(story)
        figures = {"looks": float(len(found["looks"])), "users": 301.0, "requests": 3000.0, "seconds": 44.0}
        return found["decision"], figures, {"rollout": found, "timeline": []}
    if step == "promote_model":
        return "promoted", {}, {"version": "2", "digest": CANDIDATE, "aliases": {"production": 2, "previous": 1}}
    if step == "restore_production":
        return "withdrawn", {}, {"version": "2", "digest": CANDIDATE, "aliases": {"production": 1}}
    return "", {}, {}


def records(story, store="store"):
    """The step records of a turn, up to the step where the story ends."""
    made, now = [], BEGAN
    for step, seconds in ORDER.items():
        if story in ("ambiguous",) and step == "run_canary":
            break
        if (story == "good" and step == "restore_production") or (story == "harmful" and step == "promote_model"):
            continue
        outcome, metrics, more = details(step, story, store)
        made.append(
            StepRecord(
                run_id=story, step=step, started_at=now, finished_at=now + timedelta(seconds=seconds),
                rows=ROWS.get(step), outcome=outcome, metrics=metrics, details=more,
            )
        )  # fmt: skip
        now += timedelta(seconds=seconds + 0.2)
        if step == LAST[story]:
            break
    return made


def registered(story):
    return NewVersion(
        name="assistant", digest=CANDIDATE, uri="/models/new", base_digest=PRODUCTION, dataset_digest="d1" * 32,
        table_version=3, code_version="0.1.0", method="sft", run_id=story, decision=verdict(story)["decision"],
    )  # fmt: skip


def write_tables(store, story, canary):
    """Thirty days of ratings of the log; the world changes ten days before the end; a canary with two arms."""
    dice = random.Random(11)
    interactions, feedback = [], []

    def answer(name, subject, at, source, rating, attributes="{}"):
        base = {"interaction_id": name, "subject": subject, "timestamp": at, "source": source, "run_id": story,
                "attributes": attributes}  # fmt: skip
        interactions.append(base | {"conversation_id": name, "model_version": "v1", "messages": "[]", "prompt": "q",
                                    "response": "a", "language": "en", "consent": True})  # fmt: skip
        if rating is not None:
            feedback.append(base | {"feedback_id": f"{name}-r", "kind": "rating", "annotator": "user", "name": "thumbs",
                                    "value": float(rating), "text": None})  # fmt: skip
        feedback.append(base | {"feedback_id": f"{name}-l", "kind": "automated", "annotator": "code",
                                "name": "latency_ms", "value": 41.0, "text": None})  # fmt: skip

    first = datetime(2026, 10, 21, tzinfo=UTC)
    for number in range(2987):
        day = dice.randrange(30)
        likes = 0.86 if day < 20 else 0.63
        rating = None if dice.random() < 0.6 else 1 if dice.random() < likes else -1
        answer(
            f"i{number}",
            f"u{dice.randrange(240)}",
            first + timedelta(days=day, seconds=dice.randrange(80000)),
            "log",
            rating,
        )
    for number in range(900 if canary else 0):
        arm = "candidate" if number % 3 == 0 else "production"
        likes = 0.91 if arm == "candidate" else 0.66
        rating = None if dice.random() < 0.5 else 1 if dice.random() < likes else -1
        answer(
            f"k{number}",
            f"v{number % 150 * 2 + (arm == 'candidate')}",
            BEGAN,
            SIMULATED_SOURCE,
            rating,
            f'{{"arm": "{arm}"}}',
        )
    for table, found in (("interactions", interactions), ("feedback", feedback)):
        delta_table.append(store, table, pa.Table.from_pylist(found, SCHEMAS[table]), batch=story)


@pytest.fixture
def turn(tmp_path: Path):
    """Build a store and a registry for a story; returns (store, registry)."""

    def build(story, tables=True):
        store, registry = str(tmp_path / story / "store"), f"sqlite:///{tmp_path / story / 'registry.db'}"
        found = records(story, store)
        for record in found:
            lineage.record_step(store, record)
        if tables:
            write_tables(store, story, canary=found[-1].step in ("promote_model", "restore_production"))
        fill_registry(registry, story, {record.step for record in found})
        return store, registry

    return build


def fill_registry(uri, story, steps):
    registry = open_registry(uri)
    old = registry.register(
        NewVersion(name="assistant", digest=PRODUCTION, uri="/models/old", run_id="earlier"), "test"
    )
    registry.set_alias("assistant", [AliasMove(alias=Alias.PRODUCTION, version=old.version, expected=None)], "test", "")
    if "register_model" in steps:
        new = registry.register(registered(story), "test")
        moves = [AliasMove(alias=Alias.CANDIDATE, version=new.version, expected=None)]
        registry.set_alias("assistant", moves, "test", "trained", run_id=story)
        if "promote_model" in steps:
            promotion.promote(registry, "assistant", new.version, old.version, "promote_model", "shown safe", story)
        if "restore_production" in steps:
            promotion.withdraw(registry, "assistant", new.version, "restore_production", "harmful", story)
