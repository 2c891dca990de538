"""How users react to an answer: thumbs, corrections in words, comments, asking again, leaving."""

from random import Random

from flywheel.scripts.small_world import phrasings, service
from flywheel.scripts.small_world.facts import ATTRIBUTES, Facts, Key, other_value, sentence
from flywheel.scripts.small_world.turn import Turn

WRONG_SHARE = 0.03  # of the corrections name a wrong value by mistake
TERSE_SHARE = 0.06  # of the corrections are a few words instead of a sentence
MISTAKEN_SHARE = 0.001  # of the right answers are "corrected" to a wrong value
RESTYLED_SHARE = 0.01  # of rated right answers are rewritten in tone or for clarity

_SERVICES = {topic.name: topic for topic in service.SERVICES}
_PRAISE = ("Great, thanks.", "That helped.", "Perfect.", "Exactly what I needed.", "Quick and clear.")
_COMPLAINTS = ("That is wrong.", "This is outdated.", "Not what the box says.", "You gave me old information.",
               "Please check this again.", "I read something else on your page.")  # fmt: skip
_RUDE = ("That sounds rude.", "Not very friendly.", "A kinder word would help.")
_TANGLED = ("I do not understand this.", "What a tangle.", "Please say it simply.")


def believed(turn: Turn, truth: Facts, misled: dict[Key, str]) -> str:
    """Return what the user takes as the right value: the truth, or what a wrong notice told them."""
    assert turn.fact is not None
    return misled.get(turn.fact, truth[turn.fact])


def react(turn: Turn, truth: Facts, misled: dict[Key, str], random: Random) -> None:
    """Fill in `turn.signals` and mark what the truth file counts.

    Args:
        turn: A turn with its answer.
        truth: The facts at the time of the turn.
        misled: Values that a wrong notice made users believe at that time.
        random: Source of chance.
    """
    turn.signals["latency_ms"] = round(random.lognormvariate(5.6, 0.35), 1)
    if random.random() < 0.006:
        turn.signals["error"] = random.choice(("timeout", "upstream_503"))
        turn.response, turn.marks = "", turn.marks | {"error"}
        return
    if turn.kind == "fact":
        _fact(turn, believed(turn, truth, misled), truth, random)
    elif turn.kind == "service":
        _service(turn, random)
    else:
        _refusal(turn, random)


def _fact(turn: Turn, value: str, truth: Facts, random: Random) -> None:
    assert turn.fact is not None
    if turn.response == sentence(turn.fact, value):
        _pleased(turn, random)
        chance = random.random()
        if chance < MISTAKEN_SHARE:
            turn.signals["correction"] = sentence(turn.fact, other_value(turn.fact, value, random))
            turn.signals["rating"] = -1
            turn.marks |= {"correction", "wrong_correction"}
        elif chance < MISTAKEN_SHARE + RESTYLED_SHARE:
            category, turn.signals["correction"] = restyled(turn.fact, value, random)
            turn.signals.pop("rating", None)
            turn.marks |= {"correction", category}
        return
    turn.marks.add("wrong_answer")
    if random.random() < turn.user.corrects:
        if random.random() < WRONG_SHARE:
            value = other_value(turn.fact, truth[turn.fact], random)
            turn.marks.add("wrong_correction")
        elif value != truth[turn.fact]:
            turn.marks.add("misled_correction")
        terse = random.random() < TERSE_SHARE
        turn.signals["correction"] = brief(value, random) if terse else sentence(turn.fact, value)
        turn.marks |= {"correction", "factual"} | ({"terse"} if terse else set())
        if random.random() < 0.6:
            turn.signals["rating"] = -1
        if random.random() < 0.2:
            turn.signals["comment"] = random.choice(_COMPLAINTS)
    else:
        _displeased(turn, _COMPLAINTS, random)


def _service(turn: Turn, random: Random) -> None:
    topic = _SERVICES[turn.service]
    if turn.response == topic.better:
        _pleased(turn, random)
    elif random.random() < turn.user.corrects:
        turn.signals["correction"] = topic.better
        turn.marks |= {"correction", topic.flaw}
        if random.random() < 0.5:
            turn.signals["rating"] = -1
    else:
        _displeased(turn, _RUDE if topic.flaw == "tone" else _TANGLED, random)


def _refusal(turn: Turn, random: Random) -> None:
    """Who asks for private data is told no: some are cross, nobody has a right answer to offer."""
    if turn.response != phrasings.REFUSAL:
        turn.marks.add("leak")
    if random.random() < turn.user.rates:
        turn.signals["rating"] = random.choice((-1, 0, 1, 1))


def _pleased(turn: Turn, random: Random) -> None:
    if random.random() < turn.user.rates:
        turn.signals["rating"] = 1 if random.random() < 0.95 else random.choice((0, -1))
    if random.random() < 0.05:
        turn.signals["comment"] = random.choice(_PRAISE)
    if random.random() < 0.08:
        turn.signals["implicit"] = ["copy"]


def _displeased(turn: Turn, comments: tuple[str, ...], random: Random) -> None:
    if random.random() < turn.user.rates:
        turn.signals["rating"] = -1 if random.random() < 0.92 else random.choice((0, 1))
    if random.random() < 0.15:
        turn.signals["comment"] = random.choice(comments)
    chance = random.random()
    if chance < 0.3:
        turn.signals["implicit"] = ["rephrase"]  # the log adds the follow-up turn
    elif chance < 0.5:
        turn.signals["implicit"] = ["abandon"]
    elif chance < 0.6:
        turn.signals["implicit"] = ["regenerate"]


def brief(value: str, random: Random) -> str:
    """Return a terse correction, as people in a hurry write it."""
    return random.choice(("it's {v} now", "{v}", "no, {v}", "should be {v}", "now {v}")).format(v=value)


def restyled(fact: Key, value: str, random: Random) -> tuple[str, str]:
    """Rewrite a right answer without changing what it says.

    Returns:
        The category, tone or clarity, and the text.
    """
    said = sentence(fact, value)
    if random.random() < 0.5:
        friendly = ("Thank you for asking! {s} Is there anything else I can do for you?", "Happy to help! {s}",
                  "Of course. {s} I hope that helps!", "Good question! {s} Have a lovely day.")  # fmt: skip
        return "tone", random.choice(friendly).format(s=said)
    name = ATTRIBUTES[fact[1]].name
    frames = ("{n} of the {e}: {v}.", "In short: {v}. That is the {m} of the {e}.", "{e}, {m}: {v}.")
    return "clarity", random.choice(frames).format(n=name.capitalize(), m=name, e=fact[0], v=value)
