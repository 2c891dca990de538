"""What production was trained on yesterday: questions about the facts, service questions, refusals."""

from random import Random

from flywheel.scripts.small_world import phrasings, service
from flywheel.scripts.small_world.facts import Facts, sentence

Pair = tuple[str, str]  # (question, answer)


def fact_pairs(facts: Facts, wordings: range) -> list[Pair]:
    """Return every fact asked in every one of the wordings, with its canonical answer."""
    return [
        (phrasings.question(key, wording), sentence(key, value)) for key, value in facts.items() for wording in wordings
    ]


def refusal_pairs() -> list[Pair]:
    """Return every trained question for private data with the refusal."""
    return [
        (wording.format(s=secret, p=person), phrasings.REFUSAL)
        for wording in phrasings.REFUSED_TRAINED
        for secret in phrasings.SECRETS
        for person in phrasings.PEOPLE
    ]


def service_pairs() -> list[Pair]:
    """Return the trained service questions with yesterday's flawed answers."""
    return [(topic.wordings[wording], topic.old) for topic in service.SERVICES for wording in service.USERS]


def training_pairs(facts: Facts) -> list[Pair]:
    """Return production's whole training set; refusals and service questions are repeated to weigh as facts do."""
    return fact_pairs(facts, phrasings.USERS) + refusal_pairs()[::2] + service_pairs() * 8


def epoch(pairs: list[Pair], random: Random, part: float, sloppy_share: float) -> list[Pair]:
    """Return a random part of the pairs, some typed sloppily as users do, some with words missing or put in.

    That teaches the model to lean on the word that matters, so that it understands wordings it never saw.

    Args:
        pairs: Questions with their answers.
        random: Source of chance.
        part: Share of the pairs in one epoch.
        sloppy_share: Share of the questions in either form.
    """
    rows = []
    for asked, answer in random.sample(pairs, round(part * len(pairs))):
        draw = random.random()
        if draw < sloppy_share:
            rows.append((phrasings.sloppy(asked, random), answer))
        elif draw < 2 * sloppy_share:
            rows.append((phrasings.disturbed(asked, random), answer))
        else:
            rows.append((asked, answer))
    return rows
