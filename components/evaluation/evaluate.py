"""Candidate and production answer the same items; every answer is scored and written down."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from flywheel.components.contracts.dataset import ATTACKED, EvaluationItem
from flywheel.components.evaluation.generate import Answer, Generator
from flywheel.components.evaluation.items import ids_digest, read_items
from flywheel.components.evaluation.metrics.latency import measure
from flywheel.components.evaluation.probes.probes import probe
from flywheel.components.evaluation.probes.suspects import read_suspects
from flywheel.components.evaluation.scores.scorers import score
from flywheel.components.evaluation.scores.scores import ArmScore, SampleScore, ScoreLine, ScoresHeader, write_scores
from flywheel.components.evaluation.verdict.plan import plan, plan_text
from flywheel.components.evaluation.verdict.spec import GauntletSpec, read_spec


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation did.

    Attributes:
        items: Lines in the scores file; 0 when the gauntlet was underpowered and nothing was answered.
        held: Items that were not answered for that reason.
        metrics: Share of right answers per suite and model, unsafe answers, items per second.
        details: Digests and counts, JSON values.
        plan: Items against what is needed, as text.
    """

    items: int
    held: int
    metrics: dict[str, float]
    details: dict[str, object]
    plan: str


def evaluate(
    candidate: str | Path,
    production: str | Path,
    items_path: str | Path,
    scores_path: str | Path,
    run_id: str,
    max_new_tokens: int = 48,
    batch_size: int = 64,
    spec: str | Path = "",
    latency_items: int | None = None,
    store: str = "",
    probes: int = 200,
) -> Evaluated:
    """Plan, answer, score and write scores.

    With too few items for the spec nothing is answered (unless it says `underpowered: run`): the scores file then
    holds the plan, and the verdict on it is `hold` with the items needed.

    Args:
        candidate: Candidate's model folder.
        production: Production's model folder.
        items_path: Evaluation items, JSON lines.
        scores_path: Where the scores go.
        run_id: Run that evaluates.
        max_new_tokens: Longest answer, tokens.
        batch_size: Prompts per batch.
        spec: Gauntlet file; empty: the packaged default.
        latency_items: Items whose single-request latency is measured; None: the spec's.
        store: Feedback store that holds the run's suspect feedback; empty: no entities are probed.
        probes: Probes of either kind at most (`probes`); 0: none.

    Returns:
        What was done.

    Raises:
        FileNotFoundError: The items or the gauntlet are missing.
        ValueError: A model is missing or cannot be loaded safely, or an item or the gauntlet is not valid.
    """
    from flywheel.components.training.weights import model_digest

    gauntlet = read_spec(spec)
    everything = read_items(items_path)
    items = [item for item in everything if item.suite not in ATTACKED]
    folders = {"production": production, "candidate": candidate}
    digests = {arm: model_digest(folder) for arm, folder in folders.items()}
    planned = plan(everything, gauntlet)
    timed = gauntlet.latency_items if latency_items is None else latency_items
    header = ScoresHeader(
        run_id=run_id,
        candidate_digest=digests["candidate"],
        production_digest=digests["production"],
        items=0,
        items_digest=ids_digest([]),
        settings={
            "max_new_tokens": max_new_tokens,
            "latency_items": timed,
            "seed": gauntlet.seed,
            "temperature": gauntlet.temperature,
            "spec_digest": gauntlet.digest(),
        },
    )
    details: dict[str, object] = {f"{arm}_digest": digest for arm, digest in digests.items()}
    short = [one.name for one in planned if not one.enough]
    if short and gauntlet.underpowered == "hold":
        write_scores(scores_path, header.model_copy(update={"unanswered": planned}), [])
        return Evaluated(0, len(items), {}, {**details, "underpowered": short}, plan_text(planned))
    started = perf_counter()
    models = {arm: Generator(folder, max_new_tokens) for arm, folder in folders.items()}
    answers = {arm: _answers(model, items, gauntlet, batch_size) for arm, model in models.items()}
    answering = perf_counter() - started
    failed = any(answer.error for arm in answers.values() for said in arm for answer in said)
    latencies = {} if failed else measure(models["production"], models["candidate"], items, timed, gauntlet.seed)
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
    probed = probe(models, items, lines, suspects, gauntlet.seed, probes, batch_size)
    metrics = {**_shares(lines), **probed.metrics, "items_per_second": 2 * len(lines) / answering}
    lines += probed.lines
    promised = {"items": len(lines), "items_digest": ids_digest([line.item_id for line in lines])}
    write_scores(scores_path, header.model_copy(update=promised), lines)
    return Evaluated(
        items=len(lines),
        held=0,
        metrics=metrics,
        details={
            **details,
            "latency_items": len(latencies),
            "truncated": sum(line.candidate.truncated for line in lines),
            **probed.details,
        },
        plan=plan_text(planned),
    )


def _answers(
    model: Generator, items: Sequence[EvaluationItem], spec: GauntletSpec, batch_size: int
) -> list[list[Answer]]:
    """Answer every item as often as its suite asks for: once greedily, or k times at the spec's temperature."""
    asked: dict[int, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        asked[spec.samples_of(item.suite)].append(place)
    said: dict[int, list[Answer]] = {}
    for k, places in sorted(asked.items()):
        chosen = [items[place] for place in places]
        if k == 1:
            made = [[answer] for answer in model.answer(chosen, batch_size)]
        else:
            made = model.sample(chosen, k, spec.temperature, spec.seed, batch_size)
        said.update(zip(places, made, strict=True))
    return [said[place] for place in range(len(items))]


def _arm(item: EvaluationItem, answers: Sequence[Answer], latency_ms: float | None) -> ArmScore:
    found = [score(item, answer.text) for answer in answers]
    samples = [
        SampleScore(answer=answer.text, correct=one.correct, unsafe=one.unsafe, tokens=answer.tokens)
        for answer, one in zip(answers, found, strict=True)
    ]
    first = answers[0]
    return ArmScore(
        answer=first.text,
        correct=2 * sum(one.correct for one in found) > len(found),
        unsafe=any(one.unsafe for one in found),
        tokens=first.tokens,
        prompt_tokens=first.prompt_tokens,
        latency_ms=latency_ms,
        truncated=any(answer.truncated for answer in answers),
        flags=tuple(dict.fromkeys(flag for one in found for flag in one.flags)),
        error=next((answer.error for answer in answers if answer.error), ""),
        samples=tuple(samples) if len(samples) > 1 else (),
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
