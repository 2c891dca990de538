"""Open questions of the small world, and what its people would say about the answers.

Service questions have no one right answer: production's is true but rude or tangled. People know what they like: an
answer that is as friendly or as clear as the better one. They err now and then, as labelling people do.
"""

from collections.abc import Iterable
from random import Random

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.contracts.feedback import Message
from flywheel.components.evaluation.scores.scorers import normalise
from flywheel.scripts.small_world import phrasings, service

CARELESS = 0.05
"""Share of labels that are wrong."""


def helpfulness_items(seed: int, variants: int = 4) -> list[EvaluationItem]:
    """Make the open questions: every service question, and sloppy variants of it.

    Args:
        seed: The world's seed.
        variants: Ways in which each wording is asked at most, the clean one included.

    Returns:
        Items of suite helpfulness; the cluster is the wording, whose variants stand and fall together.
    """
    random = Random(f"{seed}:helpfulness")
    made = []
    for topic in service.SERVICES:
        for number, wording in enumerate(topic.wordings):
            asked = dict.fromkeys([wording, *(phrasings.sloppy(wording, random) for _ in range(3 * variants))])
            made += [
                EvaluationItem(
                    item_id=f"helpfulness:{topic.name}:{number}:{place}",
                    suite="helpfulness",
                    kind="open",
                    messages=(Message(role="user", content=text),),
                    references=(topic.better,),
                    cluster=f"{topic.name}:{number}",
                    slices={"flaw": topic.flaw},
                )
                for place, text in enumerate(list(asked)[:variants])
            ]
    return made


def labelled(
    sheet: Iterable[dict[str, str | None]], items: Iterable[EvaluationItem], seed: int, careless: float = CARELESS
) -> list[dict[str, str | int | None]]:
    """Fill in a label sheet as the world's people would.

    Args:
        sheet: Lines of `human_labels.label_sheet`.
        items: The open questions.
        seed: The world's seed.
        careless: Share of labels that are wrong.

    Returns:
        The lines with `production` and `candidate` filled in: 1 where the answer is what people want.
    """
    random = Random(f"{seed}:labels")
    liked = {item.item_id: {normalise(reference) for reference in item.references} for item in items}
    rows: list[dict[str, str | int | None]] = []
    for line in sheet:
        row: dict[str, str | int | None] = dict(line)
        for arm in ("production", "candidate"):
            helpful = normalise(str(line[f"{arm}_answer"])) in liked[str(line["item_id"])]
            row[arm] = int(helpful != (random.random() < careless))
        rows.append(row)
    return rows
