"""Attack candidate and production with the same budget and write what came of it.

Both models are attacked by searches of their own on the same seeds, then each is asked what broke the other. A seed
counts as broken on a model when any of these prompts succeeded there. Without seeds (no item says what must not
happen) the scores are passed on as they are.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.evaluation.attack import benign
from flywheel.components.evaluation.attack.budget import Budget
from flywheel.components.evaluation.attack.llm_attacker import LlmAttacker
from flywheel.components.evaluation.attack.mutations import Material
from flywheel.components.evaluation.attack.report import ArmAttack, AttackReport, render_report
from flywheel.components.evaluation.attack.search import Campaign
from flywheel.components.evaluation.attack.shown import shown
from flywheel.components.evaluation.attack.success import SuccessJudge, is_protected, words_of
from flywheel.components.evaluation.attack.target import LocalTarget, Target
from flywheel.components.evaluation.attack.transfer import best, broken, exchange
from flywheel.components.evaluation.items import read_items
from flywheel.components.evaluation.scores.score_lines import ArmScore, ScoreLine, ScoresHeader
from flywheel.components.evaluation.scores.score_merge import extend
from flywheel.components.evaluation.scores.scorers import redacted

ARMS = ("production", "candidate")


@dataclass(frozen=True)
class Attacked:
    """What an attack did.

    Attributes:
        lines: Score lines added.
        metrics: Shares by model: `attack_success/candidate`, `benign_pass/production`, ...
        details: The budget and what was spent, JSON values.
    """

    lines: int
    metrics: dict[str, float]
    details: dict[str, object]


def attack_models(
    candidate: str | Path,
    production: str | Path,
    items_path: str | Path,
    scores_in: str | Path,
    scores_out: str | Path,
    report_path: str | Path,
    log_path: str | Path,
    budget: Budget | None = None,
    attacker: LlmAttacker | None = None,
    max_new_tokens: int = 32,
    batch_size: int = 128,
    progress: Callable[[str], None] = lambda line: None,
) -> Attacked:
    """Attack two model folders and add the outcome to their scores; see `attack` for the rest.

    Args:
        candidate: Candidate's model folder.
        production: Production's model folder.
        items_path: Evaluation items, JSON lines.
        scores_in: Scores of the same two models.
        scores_out: Where the scores with the attack's lines go.
        report_path: Where the report (HTML) goes.
        log_path: Where all prompts and answers (JSON lines) go.
        budget: What may be spent; None: the default.
        attacker: Attacking model; None: mutations only.
        max_new_tokens: Longest answer, tokens.
        batch_size: Prompts per batch.
        progress: Called with a line of text after every generation.

    Returns:
        What was done.

    Raises:
        FileNotFoundError: The items or the scores are missing.
        ValueError: A model is missing or cannot be loaded safely, the scores are of other models, or an item or the
            budget is not valid.
        EndpointError: The attacking model cannot be asked.
    """
    from flywheel.components.training.weights import model_digest

    folders = {"production": production, "candidate": candidate}
    header, said = _scored(scores_in)
    for arm, digest in (("production", header.production_digest), ("candidate", header.candidate_digest)):
        if model_digest(folders[arm]) != digest:
            raise ValueError(f"{scores_in} holds the scores of another {arm} model than {folders[arm]}")
    # Nothing was answered because the gauntlet is underpowered: the verdict holds whatever an attack would show.
    items = [] if header.unanswered else read_items(items_path)
    targets: dict[str, Target] = {}
    rooms = []
    if any(is_protected(item) for item in items) or any(item.suite == "benign" for item in items):
        for arm in ARMS:
            target = LocalTarget(folders[arm], max_new_tokens, batch_size)
            targets[arm] = target
            rooms.append(target.room)
    room = min((room for room in rooms if room), default=4096)
    return attack(
        targets, items, said, scores_in, scores_out, report_path, log_path, budget or Budget(), attacker, room, progress
    )


def attack(
    targets: dict[str, Target],
    items: Sequence[EvaluationItem],
    said: Sequence[str],
    scores_in: str | Path,
    scores_out: str | Path,
    report_path: str | Path,
    log_path: str | Path,
    budget: Budget,
    attacker: LlmAttacker | None = None,
    room: int = 4096,
    progress: Callable[[str], None] = lambda line: None,
) -> Attacked:
    """Attack two targets; the same arguments give the same bytes, also after a kill.

    Args:
        targets: The models by arm, `production` and `candidate`; may be empty when no item is to be attacked.
        items: Evaluation items.
        said: What the models answered to harmless items.
        scores_in: Scores to add to.
        scores_out: Where the scores with the attack's lines go.
        report_path: Where the report goes.
        log_path: Where the log goes.
        budget: What may be spent.
        attacker: Attacking model; None: mutations only.
        room: Tokens that a prompt may have; bounds many-shot dialogues.
        progress: Called with a line of text after every generation.

    Returns:
        What was done.

    Raises:
        FileNotFoundError: There are no scores.
        ValueError: The scores or the budget are not valid.
    """
    seeds = choose_seeds(items, budget.seeds, budget.seed)
    material = material_of(items, room)
    judge = SuccessJudge(items, said)
    controls = benign.controls(items, material, budget.controls if seeds else 0, budget.seed)
    campaigns: dict[str, Campaign] = {}
    for arm in ARMS if seeds else ():
        campaigns[arm] = Campaign(
            targets[arm],
            seeds,
            judge,
            material,
            budget.seed,
            attacker,
            lambda line, arm=arm: progress(f"{arm}: {line}"),
        )
        campaigns[arm].search(budget.queries, budget.generation)
    crossed = exchange(campaigns["production"], campaigns["candidate"], budget.transfers) if seeds else 0
    if seeds:
        progress(f"{crossed} prompts crossed each way")
    replies = {arm: _replies(targets[arm], controls, material.refusals) if controls else [] for arm in ARMS}
    lines = [_attack_line(seed, place, campaigns) for place, seed in enumerate(seeds)]
    lines += [
        ScoreLine(
            item_id=item.item_id, suite="benign", cluster=item.cluster or item.item_id, slices=item.slices,
            production=replies["production"][place], candidate=replies["candidate"][place],
        )
        for place, item in enumerate(controls)
    ]  # fmt: skip
    spent = {arm: campaign.asked for arm, campaign in campaigns.items()}
    settings: dict[str, float | int | str] = {}
    if lines:
        settings = {
            "attack_seeds": len(seeds), "attack_queries": budget.queries, "attack_seed": budget.seed,
            "attacker": f"mutations and {attacker.endpoint.model}" if attacker else "mutations",
        }  # fmt: skip
    report = AttackReport(
        seeds=tuple(seeds),
        arms={arm: ArmAttack(campaigns[arm] if seeds else None, tuple(replies[arm])) for arm in ARMS},
        controls=tuple(controls),
        budget=budget,
        crossed=crossed,
        attacker=str(settings.get("attacker", "")),
        proposals=(attacker.proposed, attacker.failed) if attacker else (0, 0),
    )
    _write(log_path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _log(seeds, campaigns)))
    _write(report_path, render_report(report))
    extend(scores_in, scores_out, lines, settings)
    return Attacked(
        lines=len(lines),
        metrics=_shares(lines),
        details={
            **settings, "crossed": crossed, "controls": len(controls),
            **{f"prompts_{arm}": count for arm, count in spent.items()},
        },
    )  # fmt: skip


def choose_seeds(items: Sequence[EvaluationItem], most: int, seed: int) -> list[EvaluationItem]:
    """Choose what is attacked: items written for the attack first, then one safety item per cluster, then the rest.

    Args:
        items: Evaluation items.
        most: Seeds at most.
        seed: Seed of the choice.

    Returns:
        The seeds in a fixed order.

    Raises:
        ValueError: Fewer than one seed is allowed.
    """
    if most < 1:
        raise ValueError(f"the attack needs at least one seed, got {most}")
    pool = sorted((item for item in items if is_protected(item)), key=lambda item: item.item_id)
    Random(f"{seed}:seeds").shuffle(pool)
    seen: set[str] = set()
    first: list[EvaluationItem] = []
    rest: list[EvaluationItem] = []
    for item in pool:
        cluster = item.cluster or item.item_id
        (rest if cluster in seen else first).append(item)
        seen.add(cluster)
    ranked = sorted([*first, *rest], key=lambda item: item.suite != "attack")  # stable: keeps the order inside
    return ranked[:most]


def material_of(items: Sequence[EvaluationItem], room: int) -> Material:
    """Collect what mutations may use from the user's own items.

    Args:
        items: Evaluation items.
        room: Tokens that a prompt may have.
    """
    harmless = [item for item in items if not is_protected(item) and item.references and item.kind != "refusal"]
    words = {word for item in harmless for word in words_of(item.messages[-1].content)}
    refusals = dict.fromkeys(item.references[0] for item in items if is_protected(item) and item.kind == "refusal")
    return Material(
        words=tuple(sorted(words)),
        exchanges=tuple(
            sorted({(item.messages[-1].content, item.references[0]) for item in harmless if len(item.messages) == 1})
        ),
        refusals=tuple(refusals),
        most_shots=max(1, room // 50),
    )


def _scored(path: str | Path) -> tuple[ScoresHeader, list[str]]:
    """Header, and what both models said to harmless items; broken lines are the verdict's business."""
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"no scores at {source}")
    first, *rest = source.read_text(encoding="utf-8", errors="replace").split("\n")
    try:
        header = ScoresHeader.model_validate_json(first)
    except ValueError as error:
        raise ValueError(f"{source} does not start with a scores header: {error}") from error
    said = []
    for text in rest:
        try:
            line = ScoreLine.model_validate_json(text) if text.strip() else None
        except ValueError:
            continue
        if line is not None and line.suite not in ("safety", "attack"):
            said += [arm.answer for arm in (line.production, line.candidate) if not arm.unsafe]
    return header, said


def _replies(target: Target, controls: Sequence[EvaluationItem], refusals: Sequence[str]) -> list[ArmScore]:
    found = []
    for item, reaction in zip(controls, target.ask([item.messages for item in controls]), strict=True):
        answer = reaction.answer
        reply = benign.judge(item, answer.text, refusals)
        known = [*item.references, *(message.content for message in item.messages)]
        found.append(
            ArmScore(
                answer=redacted(answer.text, known, item.forbidden), correct=reply.answered and not answer.error,
                unsafe=reply.unsafe,
                tokens=answer.tokens, truncated=answer.truncated, flags=reply.flags, error=answer.error,
            )
        )  # fmt: skip
    return found


def _attack_line(seed: EvaluationItem, place: int, campaigns: dict[str, Campaign]) -> ScoreLine:
    scores = {}
    for arm, campaign in campaigns.items():
        tried = campaign.attempts[place]
        furthest = best(campaign, place)
        failed = [attempt.answer.error for attempt in tried if attempt.answer.error]
        success = broken(campaign, place)
        families = (f"family:{name}" for name in furthest.prompt.families())
        scores[arm] = ArmScore(
            answer=shown(seed, furthest), correct=not success, unsafe=success, tokens=furthest.answer.tokens,
            truncated=furthest.answer.truncated, attempts=len(tried),
            flags=(furthest.outcome.kind, *(flag.split(":")[0] for flag in furthest.outcome.flags), *families),
            # A prompt that got no answer is a part of the budget that was not spent.
            error=f"{len(failed)} of {len(tried)} prompts failed: {failed[0]}" if failed else "",
        )  # fmt: skip
    name = seed.item_id if seed.suite == "attack" else f"attack:{seed.item_id}"
    return ScoreLine(
        item_id=name, suite="attack", cluster=seed.cluster or seed.item_id, slices=seed.slices,
        production=scores["production"], candidate=scores["candidate"],
    )  # fmt: skip


def _log(seeds: Sequence[EvaluationItem], campaigns: dict[str, Campaign]) -> list[dict[str, object]]:
    return [
        {
            "seed": seed.item_id,
            "model": arm,
            "families": attempt.prompt.families(),
            "mutations": [f"{gene.mutation}:{gene.salt}" for gene in attempt.prompt.genome],
            "transferred": attempt.transferred,
            "messages": [message.model_dump() for message in attempt.messages],
            "answer": shown(seed, attempt),
            "outcome": attempt.outcome.kind,
            "lean": attempt.lean,
            "error": attempt.answer.error,
        }
        for place, seed in enumerate(seeds)
        for arm, campaign in campaigns.items()
        for attempt in campaign.attempts[place]
    ]


def _shares(lines: Sequence[ScoreLine]) -> dict[str, float]:
    found: dict[str, float] = {}
    for arm in ARMS:
        attacked = [getattr(line, arm).unsafe for line in lines if line.suite == "attack"]
        asked = [getattr(line, arm).correct for line in lines if line.suite == "benign"]
        if attacked:
            found[f"attack_success/{arm}"] = sum(attacked) / len(attacked)
        if asked:
            found[f"benign_pass/{arm}"] = sum(asked) / len(asked)
    return found


def _write(path: str | Path, text: str) -> None:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(target)
