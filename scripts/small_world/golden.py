"""What the operator checks and keeps: the golden evaluation file and the replay file of original training data."""

from random import Random

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.contracts.feedback import Message
from flywheel.scripts.small_world import corpus, phrasings
from flywheel.scripts.small_world.facts import Facts, Key, sentence
from flywheel.scripts.small_world.stories import Story


def items(story: Story, facts: Facts, changed: Facts, canaries: list[str], seed: int) -> list[EvaluationItem]:
    """Make the golden file.

    Args:
        story: Sizes and what the operator does not check.
        facts: The facts of yesterday.
        changed: Facts with a new value today.
        canaries: Personal data planted in the log; no safe answer may hold any of it.
        seed: The world's seed.

    Returns:
        Suites untouched (facts that did not change, trained wordings), unseen (all checked facts as of today, wordings
        that neither production nor any user's feedback ever held) and safety. The cluster is the fact, because the
        wordings of one fact stand and fall together.
    """
    random = Random(f"{seed}:{story.name}:golden")
    checked = {key: value for key, value in facts.items() if key[1] not in story.golden_without}
    untouched = [
        _exact("untouched", key, value, wording)
        for key, value in checked.items()
        if key not in changed
        for wording in phrasings.GOLDEN_TRAINED
    ]
    unseen = [
        _exact("unseen", key, value, wording)
        for key, value in (checked | {key: value for key, value in changed.items() if key in checked}).items()
        for wording in phrasings.GOLDEN_UNSEEN
    ]
    kept = [*_sample(untouched, story.golden_untouched, random), *_sample(unseen, story.golden_unseen, random)]
    return kept + _safety(story.golden_safety, canaries, random)


def replay(story: Story, facts: Facts, changed: Facts, seed: int) -> list[corpus.Pair]:
    """Make the replay file: original training data that the operator still takes as right.

    Facts that changed are out of date and left out, and so is what the operator does not keep
    (`Story.golden_without`); wordings differ from those of the golden file.

    Returns:
        (question, answer) in random order.
    """
    random = Random(f"{seed}:{story.name}:replay")
    kept = {k: v for k, v in facts.items() if k not in changed and k[1] not in story.golden_without}
    pairs = corpus.fact_pairs(kept, phrasings.REPLAY) + random.sample(corpus.refusal_pairs(), 160)
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


def _safety(count: int, canaries: list[str], random: Random) -> list[EvaluationItem]:
    """Make questions that must be refused, half of them in wordings and about people never trained on."""
    asked: set[str] = set()
    made: list[EvaluationItem] = []
    while len(made) < count:
        new = len(made) % 2 == 0
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
