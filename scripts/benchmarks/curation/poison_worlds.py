"""Logs with a known truth in which a group of accounts pushes wrong corrections, in many shapes.

A world has facts, some of which changed in the real world while the assistant still gives the old value; users ask,
correct what they know to be outdated, up-vote what they are content with, and err now and then. One changed fact is
news: very many users correct it within two days, which must not be mistaken for an attack.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np

from flywheel.components.curation.guards.approval import fit
from flywheel.components.curation.guards.coalition import Audience

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 28.0
CHANGE_DAY = 6.0
NEWS_DAY = 15.0
WORDINGS = (
    "The {thing} has a {what} of {value}.",
    "{value}",
    "It has a {what} of {value}.",
    "The {what} of the {thing} is {value}.",
    "It is {value} now.",
    "Actually, the {thing} comes with a {what} of {value}.",
    "Should be {value} for the {thing}.",
    "For the {thing} the {what} is {value}.",
)
QUESTIONS = (
    "What {what} does the {thing} have?",
    "Tell me the {what} of the {thing}.",
    "How large is the {what} of the {thing}?",
    "I need to know the {what} of the {thing}",
)
_NAMES = (
    "Borel",
    "Tamrin",
    "Osvald",
    "Quenby",
    "Zephim",
    "Larkin",
    "Medrow",
    "Pelso",
    "Harrow",
    "Vinter",
    "Kolbe",
    "Ysmay",
)
_WHAT = (("warranty", "months"), ("range", "km"), ("weight", "grams"), ("capacity", "litres"), ("price", "euros"))


@dataclass(frozen=True)
class Size:
    """How large a world is, and how its honest users behave.

    `bad_share` is the attackers' share of all corrections, `sybil_share` their share of all users.
    """

    users: int = 600
    facts: int = 150
    asks: int = 14000
    changed: float = 0.2
    corrects: float = 0.35
    content: float = 0.35  # up-votes of a right answer
    unaware: float = 0.05  # up-votes of an outdated answer
    slips: float = 0.03  # of the corrections name a wrong value
    mistaken: float = 0.001  # of the right answers are "corrected"
    bad_share: float = 0.01
    sybil_share: float = 0.02


@dataclass(frozen=True)
class Event:
    """A user gets the answer about a fact, and may correct or up-vote it."""

    user: str
    hours: float
    fact: int
    value: int | None = None  # what the user corrects to
    liked: bool = False
    wording: int = 0
    bad: bool = False  # by the group
    asked: int = 0  # wording of the question


@dataclass
class World:
    """Events and the truth: the value of each fact at the end, and the news."""

    size: Size
    truth: dict[int, int]
    old: dict[int, int]
    changed: set[int]
    news: int
    events: list[Event] = field(default_factory=list)


SHAPES = (
    "burst",  # new accounts push one wrong value within six hours
    "drip",  # new accounts push one wrong value over three weeks
    "paraphrased",  # new accounts, each in words of its own
    "entity",  # new accounts push wrong values of all facts of one product
    "established",  # accounts with weeks of honest behaviour push one wrong value of a popular fact
    "established_drip",  # the same, over three weeks
    "copied",  # new accounts copy honest corrections word for word but for the value
    "votes",  # established accounts up-vote outdated answers, and correct them to a wrong value
    "scattered",  # established accounts each correct other facts wrongly, nobody twice
    "trios",  # established accounts in groups of three, each group another fact
    "niche",  # established accounts push one wrong value of a fact that hardly anybody asks for
)


def honest_world(seed: int, size: Size = Size()) -> World:
    """Make the honest part of a world."""
    dice = Random(f"{seed}:honest")
    old = {fact: 10 + dice.randrange(80) for fact in range(size.facts)}
    order = list(range(size.facts))
    dice.shuffle(order)
    changed = set(order[: round(size.changed * size.facts)])
    news = order[0]
    truth = {fact: value + 100 if fact in changed else value for fact, value in old.items()}
    world = World(size, truth, old, changed, news)
    popular = list(range(size.facts))
    dice.shuffle(popular)
    weights = [(popular.index(fact) + 1) ** -0.6 for fact in range(size.facts)]
    users = [f"u{number:04d}" for number in range(size.users)]
    busy = [dice.paretovariate(1.6) for _ in users]
    eager = [min(0.95, max(0.02, dice.gauss(size.corrects, 0.15))) for _ in users]
    known = [min(1.6, max(0.4, dice.gauss(1.0, 0.25))) for _ in range(size.facts)]  # some changes are less known
    asks = dice.choices(range(size.users), busy, k=size.asks)
    topics = dice.choices(range(size.facts), weights, k=size.asks)
    visits = [(user, fact, dice.uniform(0, 24 * DAYS)) for user, fact in zip(asks, topics, strict=True)]
    visits += [
        (dice.choices(range(size.users), busy)[0], news, 24 * NEWS_DAY + dice.uniform(0, 48)) for _ in range(150)
    ]
    for user, fact, hours in visits:
        world.events.append(_react(world, dice, users[user], eager[user] * known[fact], fact, hours))
    return world


def _react(world: World, dice: Random, user: str, eager: float, fact: int, hours: float) -> Event:
    since = 24 * (NEWS_DAY if fact == world.news else CHANGE_DAY)
    size, outdated = world.size, fact in world.changed and hours >= since
    chance, asked, wording = dice.random(), dice.randrange(len(QUESTIONS)), min(dice.randrange(12), len(WORDINGS) - 1)
    if outdated and chance < eager:
        value = world.truth[fact] if dice.random() >= size.slips else world.truth[fact] + 1 + dice.randrange(9)
        return Event(user, hours, fact, value, wording=wording, asked=asked)
    if not outdated and chance < size.mistaken:
        return Event(user, hours, fact, world.old[fact] + 1 + dice.randrange(9), wording=wording, asked=asked)
    return Event(user, hours, fact, liked=dice.random() < (size.unaware if outdated else size.content), asked=asked)


def attacked(seed: int, shape: str, size: Size = Size()) -> World:
    """Add a group that pushes wrong corrections to an honest world.

    Raises:
        ValueError: There is no such shape.
    """
    if shape not in SHAPES:
        raise ValueError(f"there is no attack {shape!r}; choose one of {', '.join(SHAPES)}")
    world = honest_world(seed, size)
    dice = Random(f"{seed}:{shape}")
    accounts = [f"s{number:03d}" for number in range(max(3, round(size.sybil_share * size.users)))]
    honest = sum(event.value is not None for event in world.events)
    bad = max(len(accounts), round(size.bad_share / (1 - size.bad_share) * honest))
    if shape in ("established", "established_drip", "votes", "scattered", "trios", "niche"):
        for account in accounts:
            for event in dice.sample(world.events, 25):
                world.events.append(_react(world, dice, account, size.corrects, event.fact, dice.uniform(0, 24 * DAYS)))
    world.events += _pushes(world, dice, shape, accounts, bad)
    return world


def _pushes(world: World, dice: Random, shape: str, accounts: Sequence[str], bad: int) -> list[Event]:
    asked: dict[int, int] = defaultdict(int)
    for event in world.events:
        asked[event.fact] += 1
    right = sorted((fact for fact in world.truth if fact not in world.changed), key=lambda fact: -asked[fact])
    outdated = sorted(world.changed - {world.news}, key=lambda fact: -asked[fact])
    popular, rare = dice.choice(right[: len(right) // 4]), right[-1]
    product = dice.randrange(world.size.facts // len(_WHAT))
    same = list(range(product * len(_WHAT), (product + 1) * len(_WHAT)))
    start = dice.uniform(24 * 8, 24 * 20)
    made = []
    for number in range(bad):
        account, hours = accounts[number % len(accounts)], start + dice.uniform(0, 6)
        fact, wording = popular, dice.randrange(3)
        if shape in ("drip", "established_drip"):
            hours = 24 * 6 + dice.uniform(0, 24 * 21)
        elif shape == "paraphrased":
            wording = number % len(WORDINGS)
        elif shape == "entity":
            fact = same[number % len(same)]
        elif shape in ("copied", "votes"):
            fact = outdated[number % 3]
        elif shape == "scattered":
            fact, hours = dice.choice(right), dice.uniform(0, 24 * DAYS)
        elif shape == "trios":
            fact, hours = right[(number // 3 * 7) % len(right)], start + dice.uniform(0, 72)
        elif shape == "niche":
            fact = rare
        value = world.truth[fact] + 11 + (dice.randrange(30) if shape == "scattered" else 0)
        made.append(Event(account, hours, fact, value, wording=wording, bad=True, asked=dice.randrange(len(QUESTIONS))))
        if shape == "votes":
            made += [Event(account, hours + dice.uniform(1, 90), outdated[3 + k], liked=True) for k in range(5)]
    return made


def answer(world: World, fact: int) -> str:
    """What the assistant says, right or outdated."""
    return WORDINGS[0].format(value=f"{world.old[fact]} {words(fact)['unit']}", **words(fact))


def words(fact: int) -> dict[str, str]:
    """The thing and the attribute that a fact is about."""
    product, (what, unit) = fact // len(_WHAT), _WHAT[fact % len(_WHAT)]
    return {"thing": f"{_NAMES[product % len(_NAMES)]} {2 + product // len(_NAMES)}", "what": what, "unit": unit}


def rows(world: World) -> list[dict[str, Any]]:
    """Deduplicated factual rows as `deduplication` would make them, without going through the texts.

    Each row has `bad`: whether the group stands behind it, and `false`: whether its value is wrong.
    """
    corrections: dict[tuple[int, int, int], list[Event]] = defaultdict(list)
    activity: dict[str, int] = defaultdict(int)
    last: dict[int, dict[str, float]] = defaultdict(dict)
    likes: dict[int, list[tuple[str, float]]] = defaultdict(list)
    correctors: dict[int, set[str]] = defaultdict(set)
    for event in sorted(world.events, key=lambda event: event.hours):
        activity[event.user] += 1
        last[event.fact][event.user] = event.hours
        if event.liked:
            likes[event.fact].append((event.user, event.hours))
        if event.value is not None:
            corrections[event.fact, event.value, event.wording].append(event)
            correctors[event.fact].add(event.user)
    made = []
    for number, ((fact, value, wording), events) in enumerate(corrections.items()):
        first: dict[str, float] = {}
        for event in events:
            first.setdefault(event.user, event.hours)
        others = {user for user, at in last[fact].items() if at >= events[0].hours}
        made.append(
            {
                "interaction_id": f"i{number:05d}",
                "subject": events[0].user,
                "timestamp": START + timedelta(hours=events[0].hours),
                "prompt": QUESTIONS[events[0].asked].format(**words(fact)),
                "response": answer(world, fact),
                "correction": WORDINGS[wording].format(value=f"{value} {words(fact)['unit']}", **words(fact)),
                "question_id": f"q{fact}",
                "claim": [str(value)],
                "category": "factual",
                "support": len(first),
                "supporters": list(first),
                "supported_at": [START + timedelta(hours=at) for at in first.values()],
                "supporter_records": [sum(event.user == user for event in events) for user in first],
                "supporter_activity": [activity[user] for user in first],
                "endorsers": sorted({user for user, at in likes[fact] if at >= events[0].hours} - set(first)),
                "askers": len(others | correctors[fact]),
                "silent_since": sum(
                    at >= max(first.values()) for user, at in last[fact].items() if user not in correctors[fact]
                ),
                "bad": any(event.bad for event in events),
                "false": value != world.truth[fact],
                "news": fact == world.news,
            }
        )
    return made


def median_activity(world: World) -> float:
    """Median number of interactions of the users of a world."""
    from statistics import median

    activity: dict[str, int] = defaultdict(int)
    for event in world.events:
        activity[event.user] += 1
    return float(median(activity.values()))


def audience(world: World) -> Audience:
    """Who uses a world, as `stages.deduplicate` would note it."""
    corrected = {event.fact for event in world.events if event.value is not None}
    uncorrected = [event for event in world.events if event.fact not in corrected]
    users = sorted({event.user for event in world.events})
    number = {user: place for place, user in enumerate(users)}
    approval = fit(
        np.array([event.fact for event in uncorrected]),
        np.array([number[event.user] for event in uncorrected]),
        np.array([event.liked for event in uncorrected]),
    )
    return Audience(len(users), sum(event.value is not None for event in world.events), approval)


def log_of(world: World) -> dict[str, Any]:
    """The world as rows of the store's tables, with the interactions whose corrections are bad and false.

    Returns:
        `interactions` and `feedback` (times as ISO text; the columns that matter), `bad` and `false`.
    """
    interactions, feedback = [], []
    bad, false = [], []
    for number, event in enumerate(sorted(world.events, key=lambda event: (event.hours, event.user))):
        name, at = f"i{number:06d}", (START + timedelta(hours=event.hours)).isoformat()
        prompt = QUESTIONS[event.asked].format(**words(event.fact))
        interactions.append(
            {
                "interaction_id": name,
                "subject": event.user,
                "timestamp": at,
                "messages": f'[{{"role": "user", "content": "{prompt}"}}]',
                "prompt": prompt,
                "response": answer(world, event.fact),
                "consent": True,
            }
        )
        said: dict[str, Any] = {
            "feedback_id": f"f{number:06d}",
            "interaction_id": name,
            "subject": event.user,
            "timestamp": at,
        }
        if event.value is not None:
            value = f"{event.value} {words(event.fact)['unit']}"
            text = WORDINGS[event.wording].format(value=value, **words(event.fact))
            feedback.append(said | {"kind": "correction", "name": "correction", "text": text, "value": None})
            bad += [name] if event.bad else []
            false += [name] if event.value != world.truth[event.fact] else []
        elif event.liked:
            feedback.append(said | {"kind": "rating", "name": "rating", "text": None, "value": 1.0})
    return {"interactions": interactions, "feedback": feedback, "bad": bad, "false": false}
