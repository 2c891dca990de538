"""Assemble a dataset: corrections blended with original data, preference pairs, and a leak-proof evaluation set."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.components.contracts.dataset import DatasetManifest, EvaluationItem
from flywheel.components.contracts.lineage import RowCounts
from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.curation.synthetic import rows as synthetic_file
from flywheel.components.dataset import (
    blend,
    evaluation_items,
    liked_answers,
    replay,
    split,
    synthetic_rows,
    trl_shapes,
)
from flywheel.components.dataset.corrections import Correction, read_corrections, settle
from flywheel.components.dataset.leakage import Leakage, count_leaks, leaked_groups
from flywheel.components.dataset.manifest import build_manifest
from flywheel.components.dataset.preferences import Pairs, training_pairs
from flywheel.components.dataset.prompts import prompt_key

EVALUATION_PROMPT = "evaluation_prompt"  # a golden item asks the same question
HELD_OUT = "held_out"


@dataclass(frozen=True)
class Outputs:
    """Where the step writes."""

    sft: str
    preferences: str
    evaluation: str
    manifest: str


@dataclass(frozen=True)
class Assembled:
    """What the step did."""

    manifest: DatasetManifest
    rows: RowCounts
    metrics: dict[str, float]
    details: dict[str, Any]


@dataclass(frozen=True)
class _Corrections:
    """The corrections sorted to their places; every accepted candidate is in exactly one of the first four."""

    train: list[Correction]
    held_out: list[Correction]
    dropped: dict[str, str]  # candidate id -> reason
    duplicates: list[Correction]
    unit_of: dict[str, str]
    standing: list[Correction]  # all but the outvoted and conflicting ones


def assemble_dataset(
    candidates: str,
    pairs: str,
    replay_data: str,
    golden: str,
    outputs: Outputs,
    run_id: str,
    *,
    replay_share: float = 0.5,
    test_share: float = 0.25,
    seed: int = 7,
    synthetic: str = "",
    synthetic_share: float = 0.1,
) -> Assembled:
    """Write the SFT rows, the preference pairs, the evaluation items and the manifest; the manifest comes last.

    Args:
        candidates: Candidate snapshot file.
        pairs: Parquet file of preference pairs.
        replay_data: JSON lines of original data; "" for none.
        golden: JSON lines of evaluation items; "" for none.
        outputs: Where to write.
        run_id: Run the dataset belongs to.
        replay_share: Share of the SFT rows that is original data, 0 to below 1.
        test_share: Expected share of the near-duplicate groups that is held out, 0 to below 1.
        seed: Of split, sample and order.
        synthetic: JSON lines of synthetic rows (`expand_thin_clusters`); "" for none. They train only.
        synthetic_share: Greatest share of synthetic rows among corrections and synthetic rows, 0 to below 1.

    Returns:
        Manifest, counts and what the report draws.

    Raises:
        ValueError: Shares, files or rows cannot be used, or no correction is left to train on.
        FileNotFoundError: A file is missing.
    """
    blend.replay_wanted(1, replay_share)  # refuse a bad share before any work
    snapshot = CandidateSnapshot.read(candidates)
    accepted = read_corrections(snapshot)
    original = replay.read_replay(replay_data)
    made = synthetic_file.read(synthetic)
    golden_items = evaluation_items.read_golden(golden)
    sorted_out = _place(accepted, {prompt_key(item.messages) for item in golden_items}, test_share, seed)
    if not sorted_out.train:
        raise ValueError(
            f"no correction is left to train on: {len(accepted)} accepted, {len(sorted_out.held_out)} held out for "
            f"evaluation, left out {dict(Counter(sorted_out.dropped.values()))}; collect more feedback"
        )
    items = evaluation_items.changed_items(sorted_out.held_out, sorted_out.unit_of)
    if any(item.item_id in {other.item_id for other in items} for item in golden_items):
        raise ValueError(
            f"golden items {golden}: item ids that begin with 'changed-' are taken by held-out corrections"
        )
    original, guards = _with_liked_answers(snapshot, original, replay_data, golden_items, accepted, sorted_out, seed)
    items = [*items, *golden_items, *guards]
    keys = {prompt_key(item.messages) for item in items}

    kept, superseded = replay.without_superseded(original.rows, sorted_out.standing)
    safe = [row for row in kept if row.key not in keys]
    wanted = blend.replay_wanted(len(sorted_out.train), replay_share)
    drawn = blend.sample(safe, wanted, lambda row: f"{row.key}\0{row.completion}", seed)
    rows = [trl_shapes.correction_row(item, sorted_out.unit_of[item.candidate_id]) for item in sorted_out.train]
    rows += [trl_shapes.replay_row(row, _replay_group(row)) for row in drawn]
    held_units = {sorted_out.unit_of[item.candidate_id] for item in sorted_out.held_out}
    added = synthetic_rows.training_rows(
        made,
        {item.candidate_id: sorted_out.unit_of[item.candidate_id] for item in sorted_out.train},
        held_units,
        keys,
        {item.key for item in accepted},
        synthetic_share,
        seed,
    )
    rows += added.rows
    rows = blend.shuffle(rows, lambda row: f"{row['candidate_id']}\0{row['prompt']}\0{row['completion']}", seed)

    unit_of_group = {item.group_id: sorted_out.unit_of[item.candidate_id] for item in accepted}
    preferences = training_pairs(pairs, sorted_out.unit_of, unit_of_group, held_units, sorted_out.dropped, keys)
    leakage = Leakage(
        before={
            "correction": count_leaks((item.key for item in _trainable(accepted, sorted_out)), keys),
            "replay": count_leaks((row.key for row in kept), keys),
            "rows_split_without_groups": _naive_leaks(accepted, sorted_out.unit_of, test_share, seed),
        },
        after={
            "correction": count_leaks((item.key for item in sorted_out.train), keys),
            "replay": count_leaks((row.key for row in drawn), keys),
        },
    )
    leaked = leaked_groups((row["group_id"] for row in [*rows, *preferences.rows]), held_units)
    recipe = {"replay_share": replay_share, "test_share": test_share, "seed": seed}
    recipe |= {"synthetic_share": synthetic_share} if synthetic else {}
    evaluation = [item.model_dump(mode="json") for item in items]
    manifest = build_manifest(
        run_id,
        snapshot.candidates,
        {
            "sft": (outputs.sft, rows),
            "preferences": (outputs.preferences, preferences.rows),
            "evaluation": (outputs.evaluation, evaluation),
        },
        recipe,
        [item.candidate_id for item in (*sorted_out.train, *sorted_out.duplicates)],
        leaked,
        outputs.manifest,
    )
    trl_shapes.save(rows, trl_shapes.SFT_COLUMNS, outputs.sft)
    trl_shapes.save(preferences.rows, trl_shapes.PREFERENCE_COLUMNS, outputs.preferences)
    _write_items(items, outputs.evaluation)
    manifest.write(outputs.manifest)
    conflicts = evaluation_items.golden_conflicts(golden_items, accepted)
    replay_counts = {
        "lines": original.lines,
        "drawn": len(drawn),
        "not_drawn": len(safe) - len(drawn),
        "superseded": len(superseded),
        EVALUATION_PROMPT: len(kept) - len(safe),
        **original.left_out,
    }
    return Assembled(
        manifest=manifest,
        rows=_counts(accepted, sorted_out),
        metrics=_metrics(manifest, items, leakage, len(conflicts), len(superseded), preferences),
        details={
            "manifest": manifest.model_dump(mode="json", by_alias=True),
            "leakage": leakage.details(),
            "replay": replay_counts,
            "replay_first_fault": original.first_fault,
            "synthetic": {"read": added.read, "train": len(added.rows), **added.left_out},
            "pairs": {"read": preferences.read, "train": len(preferences.rows), **preferences.left_out},
            "golden_conflicts": evaluation_items.conflict_details(conflicts),
            "superseded_examples": [
                {"question": row.messages[-1].content, "answer": row.completion} for row in superseded[:5]
            ],
        },
    )


def _with_liked_answers(
    snapshot: CandidateSnapshot,
    original: replay.ReplayRead,
    replay_data: str,
    golden: Sequence[EvaluationItem],
    accepted: Sequence[Correction],
    places: _Corrections,
    seed: int,
) -> tuple[replay.ReplayRead, list[EvaluationItem]]:
    """Where no replay data or no guard against forgetting was given, take what users rated up."""
    guarded = any(item.suite == "untouched" for item in golden)
    if replay_data and guarded:
        return original, []
    taken = {item.key for item in accepted} | {prompt_key(item.messages) for item in golden}
    liked, _ = replay.without_superseded(liked_answers.read_liked(snapshot, taken), places.standing)
    guards, rehearsal = liked_answers.divide(liked, seed)
    if not replay_data:
        original = replay.ReplayRead(len(rehearsal), rehearsal, {}, "")
    return original, [] if guarded else liked_answers.untouched_items(guards)


def _place(accepted: Sequence[Correction], golden_keys: set[str], test_share: float, seed: int) -> _Corrections:
    """Sort every accepted correction to training, evaluation, duplicates, or out with a reason."""
    settled, disputed = settle(accepted)
    unit_of = split.units(accepted)
    test_units = split.held_out((unit_of[item.candidate_id] for item in settled), test_share, seed)
    dropped = {item.candidate_id: reason for reason, items in disputed.items() for item in items}
    train: list[Correction] = []
    held_out: list[Correction] = []
    duplicates: list[Correction] = []
    seen: set[tuple[str, str]] = set()
    for item in settled:
        text = (str(trl_shapes.as_rows(item.messages)), item.correction)
        if unit_of[item.candidate_id] in test_units:
            held_out.append(item)
        elif item.key in golden_keys:
            dropped[item.candidate_id] = EVALUATION_PROMPT
        elif text in seen:
            duplicates.append(item)
        else:
            seen.add(text)
            train.append(item)
    return _Corrections(train, held_out, dropped, duplicates, unit_of, settled)


def _counts(accepted: Sequence[Correction], places: _Corrections) -> RowCounts:
    quarantined = Counter(places.dropped.values())
    quarantined[HELD_OUT] = len(places.held_out)
    return RowCounts(
        rows_in=len(accepted),
        accepted=len(places.train),
        duplicates=len(places.duplicates),
        quarantined={reason: count for reason, count in sorted(quarantined.items()) if count},
    )


def _metrics(
    manifest: DatasetManifest,
    items: Sequence[EvaluationItem],
    leakage: Leakage,
    conflicts: int,
    superseded: int,
    pairs: Pairs,
) -> dict[str, float]:
    rows = manifest.splits["sft"].rows
    suites = Counter(item.suite for item in items)
    return {
        "rows": float(rows),
        "replay_share": manifest.sources.get("replay", 0) / rows,
        "preference_pairs": float(len(pairs.rows)),
        "superseded": float(superseded),
        "leaked_rows_before": float(leakage.before["correction"] + leakage.before["replay"]),
        "leaked_rows_after": float(sum(leakage.after.values())),
        "golden_conflicts": float(conflicts),
        **{f"rows_{source}": float(count) for source, count in manifest.sources.items()},
        **{f"items_{suite}": float(count) for suite, count in sorted(suites.items())},
    }


def _trainable(accepted: Sequence[Correction], places: _Corrections) -> list[Correction]:
    """What would train if golden questions were not kept out."""
    held = {item.candidate_id for item in places.held_out}
    return [
        item
        for item in accepted
        if item.candidate_id not in held and places.dropped.get(item.candidate_id) in (None, EVALUATION_PROMPT)
    ]


def _naive_leaks(accepted: Sequence[Correction], unit_of: dict[str, str], test_share: float, seed: int) -> int:
    """Rows that would train on what evaluates if rows instead of groups were split: what the groups are for."""
    test = {item.candidate_id for item in accepted if split.share_of(item.candidate_id, seed) < test_share}
    units = {unit_of[name] for name in test}
    return sum(unit_of[item.candidate_id] in units for item in accepted if item.candidate_id not in test)


def _replay_group(row: replay.ReplayRow) -> str:
    return f"replay-{hashlib.sha256(row.key.encode()).hexdigest()[:16]}"


def _write_items(items: Sequence[EvaluationItem], path: str) -> None:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.new")
    staged.write_text("".join(item.model_dump_json() + "\n" for item in items), encoding="utf-8")
    staged.replace(target)
