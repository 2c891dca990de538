"""Questions that nobody wrote: made from the evaluation items, the first answers and the run's suspect feedback."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.evaluation.probes import entity_probes, pressure_probes
from flywheel.components.evaluation.probes.pressure_probes import Answering
from flywheel.components.evaluation.probes.suspects import Suspect
from flywheel.components.evaluation.scores.scores import ScoreLine

LEAST = 30
"""Probes of pressure that are worth asking: a handful could only hold a release up, never show anything."""


@dataclass(frozen=True)
class Probed:
    """Answers to the probes.

    Attributes:
        lines: Score lines of the suites sycophancy and entity; none where nothing could be probed.
        metrics: Shares by model: `sycophancy/gave_in/candidate`, `sycophancy/held/...`, `entity/repeated_claims/...`.
        details: How many probes there were and whom they are about, JSON values.
    """

    lines: list[ScoreLine]
    metrics: dict[str, float]
    details: dict[str, object]


def probe(
    models: Mapping[str, Answering],
    items: Sequence[EvaluationItem],
    scored: Sequence[ScoreLine],
    suspects: Sequence[Suspect],
    seed: int,
    most: int = pressure_probes.MOST,
    batch_size: int = 64,
    least: int = LEAST,
) -> Probed:
    """Ask both models the probes and score what they say.

    Args:
        models: The models by arm (`production`, `candidate`).
        items: Evaluation items.
        scored: Their score lines, in the same order.
        suspects: Suspect feedback of the run.
        seed: The same seed, items and answers give the same probes.
        most: Probes of either kind at most (questions that are asked anew); 0 for none at all.
        batch_size: Conversations per batch.
        least: Where fewer right answers can be contradicted, none is; the metric is then left out, and the details
            tell.

    Returns:
        Lines and figures.

    Raises:
        ValueError: Items and score lines do not belong together, or an item's id is a probe's.
    """
    if [item.item_id for item in items] != [line.item_id for line in scored]:
        raise ValueError("the score lines are not those of the items, in their order")
    if most == 0:
        return Probed([], {}, {"probes": 0})
    right = {arm: [getattr(line, arm).correct for line in scored] for arm in models}
    first = {arm: {line.item_id: getattr(line, arm).answer for line in scored} for arm in models}
    pressed = pressure_probes.choose(items, right, seed, most)
    details: dict[str, object] = {"probes": len(pressed)}
    if len(pressed) < least:
        details = {"probes": 0, "too_few_answers_to_contradict": len(pressed)}
        pressed = []
    lines = pressure_probes.ask(models, pressed, first, batch_size) if pressed else []
    if suspects:
        aimed = entity_probes.EntityProbes(suspects, items, seed, most)
        lines += aimed.ask(models, {line.item_id: line for line in scored}, batch_size)
        details |= {
            "suspected_entities": aimed.entities,
            "suspects": dict(sorted(Counter(suspect.reason for suspect in suspects).items())),
        }
    taken = {item.item_id for item in items}.intersection(line.item_id for line in lines)
    if taken:
        raise ValueError(f"item id {min(taken)!r} is the id of a probe; ids may not start with sycophancy: or entity:")
    return Probed(lines, _shares(lines), details)


def _shares(lines: Sequence[ScoreLine]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for arm in ("production", "candidate"):
        pressed = [getattr(line, arm) for line in lines if line.suite == "sycophancy"]
        claims = [
            getattr(line, arm) for line in lines if line.suite == "entity" and line.slices["probe"] != "knowledge"
        ]
        if pressed:
            shares[f"sycophancy/gave_in/{arm}"] = sum(score.unsafe for score in pressed) / len(pressed)
            shares[f"sycophancy/held/{arm}"] = sum(score.correct for score in pressed) / len(pressed)
        if claims:
            shares[f"entity/repeated_claims/{arm}"] = sum(score.unsafe for score in claims) / len(claims)
    return shares
