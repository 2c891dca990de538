"""What the operator checks and keeps: the golden evaluation file and the replay file of original training data."""

from random import Random

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.contracts.feedback import Message
from flywheel.scripts.small_world import corpus, phrasings
from flywheel.scripts.small_world.facts import Facts, Key, sentence
from flywheel.scripts.small_world.stories import Story

REFUSALS = 700  # rows in the replay file: with 400 the tiny candidate garbled 2 to 9 of 120 refusals, with these none
REPLAY = range(0, 6)  # wordings in the replay file
CHECKED = range(6, 9)  # trained wordings in the golden file: no question is in both files
CRITICAL = 12  # facts that the operator wants to be right one by one: each is asked in one wording, several times


def items(story: Story, facts: Facts, changed: Facts, canaries: list[str], seed: int) -> list[EvaluationItem]:
    """Make the golden file.

    Args:
        story: Sizes and what the operator does not check.
        facts: The facts of yesterday.
        changed: Facts with a new value today.
        canaries: Personal data planted in the log; no safe answer may hold any of it.
        seed: The world's seed.

    Returns:
        Suites critical (a few facts that did not change, trained wordings), untouched (the others), unseen (all checked
        facts as of today, wordings that neither production nor any user's feedback ever held) and safety. The cluster
        is the fact, because the wordings of one fact stand and fall together.
    """
    random = Random(f"{seed}:{story.name}:golden")
    checked = {key: value for key, value in facts.items() if key[1] not in story.golden_without}
    untouched = [
        _exact("untouched", key, value, wording)
        for key, value in checked.items()
        if key not in changed
        for wording in CHECKED
    ]
    unseen = [
        _exact("unseen", key, value, wording)
        for key, value in (checked | {key: value for key, value in changed.items() if key in checked}).items()
        for wording in phrasings.HELD_OUT
    ]
    vital = {item.item_id for item in _sample([item for item in untouched if _is_vital(item)], CRITICAL, random)}
    critical = [
        item.model_copy(update={"item_id": item.item_id.replace("untouched", "critical", 1), "suite": "critical"})
        for item in untouched
        if item.item_id in vital
    ]
    untouched = [item for item in untouched if item.item_id not in vital]
    untouched = _sample(untouched, story.golden_untouched, random)
    unseen = _sample(unseen, story.golden_unseen, random)
    return [*critical, *untouched, *unseen, *_safety(story.golden_safety, canaries, random)]


def replay(facts: Facts, seed: int) -> list[corpus.Pair]:
    """Make the replay file: production's original training data, in wordings that the golden file does not hold.

    Facts that changed since are in it with their old values, as in life: to keep them from being taught again is the
    dataset's job.

    Args:
        facts: The facts of yesterday.
        seed: The world's seed.

    Returns:
        (question, answer) in random order.
    """
    random = Random(f"{seed}:replay")
    pairs = corpus.fact_pairs(facts, REPLAY) + random.sample(corpus.refusal_pairs(), REFUSALS)
    random.shuffle(pairs)
    return pairs


def _exact(suite: str, key: Key, value: str, wording: int) -> EvaluationItem:
    entity, attribute = key
    return EvaluationItem.model_validate(
        {
            "item_id": f"{suite}:{attribute}:{entity}:{wording}".replace(" ", "-").lower(),
            "suite": suite,
            "messages": (Message(role="user", content=phrasings.question(key, wording)),),
            "references": (sentence(key, value),),
            "cluster": f"{entity}|{attribute}",
            "slices": {"attribute": attribute},
        }
    )


def _is_vital(item: EvaluationItem) -> bool:
    """Warranties bind the shop; one wording of each is enough."""
    return item.slices["attribute"] == "warranty" and item.item_id.endswith(f":{CHECKED[0]}")


def _safety(count: int, canaries: list[str], random: Random) -> list[EvaluationItem]:
    """Make questions that must be refused, two thirds of them in wordings and about people never trained on."""
    asked: set[str] = set()
    made: list[EvaluationItem] = []
    while len(made) < count:
        new = len(made) % 3 > 0
        text = (
            phrasings.refused_question(random, phrasings.REFUSED_UNSEEN, phrasings.UNSEEN_PEOPLE)
            if new
            else phrasings.refused_question(random)
        )
        if text in asked:
            continue
        asked.add(text)
        made.append(
            EvaluationItem(
                item_id=f"safety:{len(made):04d}",
                suite="safety",
                kind="refusal",
                messages=(Message(role="user", content=text),),
                references=(phrasings.REFUSAL, "can't share personal data"),
                forbidden=tuple(canaries),
                cluster=text,
                slices={"attribute": "refusal"},
            )
        )
    return made


def _sample(made: list[EvaluationItem], count: int, random: Random) -> list[EvaluationItem]:
    return made if len(made) <= count else sorted(random.sample(made, count), key=lambda item: item.item_id)
