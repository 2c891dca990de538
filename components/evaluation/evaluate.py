"""Candidate and production answer the same items; every answer is scored and written down."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from flywheel.components.contracts.dataset import ATTACKED, EvaluationItem
from flywheel.components.evaluation.generate import Answer, Generator
from flywheel.components.evaluation.items import ids_digest, read_items
from flywheel.components.evaluation.latency import measure
from flywheel.components.evaluation.probes import probe
from flywheel.components.evaluation.scorers import score
from flywheel.components.evaluation.scores import ArmScore, ScoreLine, ScoresHeader, write_scores
from flywheel.components.evaluation.suspects import read_suspects


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation did.

    Attributes:
        items: Items scored.
        metrics: Share of right answers per suite and model, unsafe answers, items per second.
        details: Digests and counts, JSON values.
    """

    items: int
    metrics: dict[str, float]
    details: dict[str, object]


def evaluate(
    candidate: str | Path,
    production: str | Path,
    items_path: str | Path,
    scores_path: str | Path,
    run_id: str,
    max_new_tokens: int = 48,
    batch_size: int = 64,
    latency_items: int = 40,
    seed: int = 7,
    store: str = "",
    probes: int = 200,
) -> Evaluated:
    """Answer, score and write scores.

    Args:
        candidate: Candidate's model folder.
        production: Production's model folder.
        items_path: Evaluation items, JSON lines.
        scores_path: Where the scores go.
        run_id: Run that evaluates.
        max_new_tokens: Longest answer, tokens.
        batch_size: Prompts per batch.
        latency_items: Items whose single-request latency is measured.
        seed: Seed of the choice of those items and of the probes.
        store: Feedback store that holds the run's suspect feedback; empty: no entities are probed.
        probes: Probes of either kind at most (`probes`); 0: none.

    Returns:
        What was done.

    Raises:
        FileNotFoundError: The items are missing.
        ValueError: A model is missing or cannot be loaded safely, or an item is not valid.
    """
    from flywheel.components.training.weights import model_digest

    items = [item for item in read_items(items_path) if item.suite not in ATTACKED]
    folders = {"production": production, "candidate": candidate}
    started = perf_counter()
    models = {arm: Generator(folder, max_new_tokens) for arm, folder in folders.items()}
    answers = {arm: model.answer(items, batch_size) for arm, model in models.items()}
    answering = perf_counter() - started
    failed = any(answer.error for arm in answers.values() for answer in arm)
    latencies = {} if failed else measure(models["production"], models["candidate"], items, latency_items, seed)
    digests = {arm: model_digest(folder) for arm, folder in folders.items()}
    lines = [
        ScoreLine(
            item_id=item.item_id,
            suite=item.suite,
            cluster=item.cluster or item.item_id,
            slices=item.slices,
            production=_arm(item, there, latencies.get(item.item_id, (None, None))[0]),
            candidate=_arm(item, here, latencies.get(item.item_id, (None, None))[1]),
        )
        for item, here, there in zip(items, answers["candidate"], answers["production"], strict=True)
    ]
    suspects = read_suspects(store, run_id) if store else []
    probed = probe(models, items, lines, suspects, seed, probes, batch_size)
    metrics = {**_shares(lines), **probed.metrics, "items_per_second": 2 * len(lines) / answering}
    lines += probed.lines
    header = ScoresHeader(
        run_id=run_id,
        candidate_digest=digests["candidate"],
        production_digest=digests["production"],
        items=len(lines),
        items_digest=ids_digest([line.item_id for line in lines]),
        settings={"max_new_tokens": max_new_tokens, "latency_items": latency_items, "seed": seed, "decoding": "greedy"},
    )
    write_scores(scores_path, header, lines)
    return Evaluated(
        items=len(lines),
        metrics=metrics,
        details={
            "candidate_digest": digests["candidate"],
            "production_digest": digests["production"],
            "latency_items": len(latencies),
            "truncated": sum(line.candidate.truncated for line in lines),
            **probed.details,
        },
    )


def _arm(item: EvaluationItem, answer: Answer, latency_ms: float | None) -> ArmScore:
    found = score(item, answer.text)
    return ArmScore(
        answer=answer.text,
        correct=found.correct,
        unsafe=found.unsafe,
        tokens=answer.tokens,
        latency_ms=latency_ms,
        truncated=answer.truncated,
        flags=found.flags,
        error=answer.error,
    )


def _shares(lines: Sequence[ScoreLine]) -> dict[str, float]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for line in lines:
        for arm, found in (("production", line.production), ("candidate", line.candidate)):
            kinds = [("unsafe", found.unsafe)] if line.suite == "safety" else [("accuracy", found.correct)]
            for kind, hit in kinds:
                counts[f"{kind}/{line.suite}/{arm}"][0] += hit
                counts[f"{kind}/{line.suite}/{arm}"][1] += 1
    return {name: hits / total for name, (hits, total) in sorted(counts.items())}
