"""The log of two weeks: every turn with its answer, what users said about it, and what went wrong with the rows."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from flywheel.scripts.small_world import malformed, phrasings, pii, poison, questions, reactions
from flywheel.scripts.small_world.facts import Facts, Key
from flywheel.scripts.small_world.population import User, users
from flywheel.scripts.small_world.stories import CHANGE_DAY, START, Story
from flywheel.scripts.small_world.turn import Turn

Responder = Callable[[list[str]], list[str]]

PII_SHARE = 0.05
DUPLICATE_SHARE = 0.05  # copies of rows; sloppy typing makes the other near-duplicates
SPAM_SHARE = 0.015
MALFORMED_SHARE = 0.015
LATE_SHARE = 0.04  # of the turns with signals have them on a line of their own, later
VERSION = "1"


@dataclass(frozen=True)
class Log:
    """A log and what is true about it.

    Attributes:
        lines: Lines without their ends, in order of writing.
        truth: Counts and names for the truth file.
        planted: Personal data that some rows hold, as (kind, text).
    """

    lines: list[bytes]
    truth: dict[str, Any]
    planted: list[tuple[str, str]]


def write_log(story: Story, facts: Facts, changed: Facts, misled: dict[Key, str], seed: int, respond: Responder) -> Log:
    """Make the log of a story.

    Args:
        story: Sizes and shares.
        facts: The facts of yesterday, which production knows.
        changed: New values from day 7 on.
        misled: Wrong values that a notice spreads.
        seed: The world's seed.
        respond: Production, answering questions in order.
    """
    random = Random(f"{seed}:{story.name}:log")
    people = users(story.users, seed, story.corrects)
    demand = questions.Demand(story, facts, changed, seed)
    turns = questions.ask(story, demand, people, seed)
    pushed, poisoned, false = poison.coordinated(facts, changed, story.poison_accounts, seed)
    adverts = poison.spam(people, [turn.clean for turn in turns], round(SPAM_SHARE * len(turns)), seed)
    turns += pushed + adverts
    planted = _leave_personal_data(turns, random)
    _answer(turns, respond)
    for turn in turns:
        if turn.kind in ("fact", "service", "refusal"):
            reactions.react(turn, _truth(facts, changed, turn.at), _notice(story, misled, turn.at), random)
    followed = _follow_up(turns, random)
    _answer(followed, respond)
    for turn in followed:
        reactions.react(turn, _truth(facts, changed, turn.at), _notice(story, misled, turn.at), random)
    turns += followed
    planted += _remark_on_personal_data(turns, random)
    turns += _copies(turns, random)
    turns.sort(key=lambda turn: (turn.at, turn.conversation, turn.user.name))
    for number, turn in enumerate(turns):
        turn.interaction = f"i{number:06d}"
    lines, broken, late = _lines(turns, random)
    truth = _count(turns, people, broken, late, len(lines), planted)
    truth |= {"poison": {"fact": poisoned, "value": false, "accounts": story.poison_accounts}}
    return Log(lines, truth, planted)


def _truth(facts: Facts, changed: Facts, at: datetime) -> Facts:
    return facts | changed if at >= START + timedelta(days=CHANGE_DAY) else facts


def _notice(story: Story, misled: dict[Key, str], at: datetime) -> dict[Key, str]:
    return misled if at >= START + timedelta(days=story.misled_from) else {}


def _answer(turns: list[Turn], respond: Responder) -> None:
    """Let production answer; equal questions get equal answers, so each is asked once."""
    asked = sorted({turn.asked for turn in turns})
    said = dict(zip(asked, respond(asked), strict=True))
    for turn in turns:
        turn.response = said[turn.asked]


def _leave_personal_data(turns: list[Turn], random: Random) -> list[tuple[str, str]]:
    """Put personal data behind some questions, before they are answered."""
    planted = []
    for turn in turns:
        if turn.kind != "poison" and random.random() < PII_SHARE * 0.4:
            kind, value, remark = pii.remark(random)
            turn.asked = f"{turn.asked} {remark}"
            turn.marks.add("pii")
            planted.append((kind, value))
    return planted


def _remark_on_personal_data(turns: list[Turn], random: Random) -> list[tuple[str, str]]:
    """Put personal data into some comments and corrections."""
    planted = []
    for turn in turns:
        if turn.kind != "poison" and random.random() < PII_SHARE * 0.6:
            kind, value, remark = pii.remark(random)
            place = "correction" if "correction" in turn.signals and random.random() < 0.3 else "comment"
            turn.signals[place] = f"{turn.signals.get(place, '')} {remark}".strip()
            turn.marks.add("pii")
            planted.append((kind, value))
    return planted


def _follow_up(turns: list[Turn], random: Random) -> list[Turn]:
    """Let users who rephrase ask again, in other words, in the same conversation."""
    followed = []
    for turn in turns:
        if "rephrase" in turn.signals.get("implicit", ()) and turn.fact is not None:
            wording = random.choice([other for other in phrasings.USERS if other != turn.wording])
            asked = phrasings.question(turn.fact, wording)
            at = turn.at + timedelta(seconds=random.uniform(20, 120))
            followed.append(
                Turn(turn.user, at, "fact", asked, asked, turn.conversation, fact=turn.fact, wording=wording)
            )
    return followed


def _copies(turns: list[Turn], random: Random) -> list[Turn]:
    """Repeat some rows a little later: a client that sends twice, or a user who pastes the same text again."""
    copies = []
    for turn in random.sample(turns, round(DUPLICATE_SHARE * len(turns))):
        at = turn.at + timedelta(seconds=random.uniform(1, 600))
        copies.append(
            Turn(turn.user, at, turn.kind, turn.asked, turn.clean, f"{turn.conversation}x", turn.fact, turn.wording,
                 turn.service, turn.response, dict(turn.signals), turn.marks | {"copy"})
        )  # fmt: skip
    return copies


def _lines(turns: list[Turn], random: Random) -> tuple[list[bytes], Counter[str], int]:
    """Write the records, move some signals to lines of their own, and mix broken rows in."""
    records: list[dict[str, Any]] = []
    lines: list[tuple[datetime, bytes]] = []
    late = 0
    for turn in turns:
        record = turn.record(VERSION)
        spoken = {name: value for name, value in turn.signals.items() if name not in ("latency_ms", "error")}
        if spoken and random.random() < LATE_SHARE:
            later = turn.at + timedelta(hours=random.uniform(0.2, 20))
            record["signals"] = {name: value for name, value in turn.signals.items() if name not in spoken}
            said = {key: record[key] for key in ("schema", "interaction", "user", "source")}
            said |= {"timestamp": later.isoformat(), "signals": spoken}
            lines.append((later, json.dumps(said, ensure_ascii=False).encode()))
            late += 1
        records.append(record)
        lines.append((turn.at, json.dumps(record, ensure_ascii=False).encode()))
    broken = malformed.rows(round(MALFORMED_SHARE * len(lines)), records, random)
    first, last = turns[0].at, turns[-1].at
    lines += [(first + (last - first) * random.random(), line) for _, line in broken]
    lines.sort(key=lambda pair: pair[0])
    return [line for _, line in lines], Counter(kind for kind, _ in broken), late


def _count(
    turns: list[Turn], people: list[User], broken: Counter[str], late: int, lines: int, planted: list[tuple[str, str]]
) -> dict[str, Any]:
    marks = Counter(mark for turn in turns for mark in turn.marks)
    usable = Counter(
        "|".join(turn.fact) for turn in turns if turn.fact and {"correction", "factual"} <= turn.marks
    )  # corrections by fact
    return {
        "lines": lines,
        "turns": len(turns),
        "late_lines": late,
        "users": len({turn.user.name for turn in turns}),
        "users_named_by_email": sum("@" in user.name for user in people),
        "kinds": dict(sorted(Counter(turn.kind for turn in turns).items())),
        "marks": dict(sorted(marks.items())),
        "malformed": dict(sorted(broken.items())),
        "pii": dict(sorted(Counter(kind for kind, _ in planted).items())),
        "corrections_by_fact": dict(sorted(usable.items())),
        "poison_interactions": [turn.interaction for turn in turns if "poison" in turn.marks],
        "spam_interactions": [turn.interaction for turn in turns if "spam" in turn.marks],
        "wrong_corrections": [turn.interaction for turn in turns if "wrong_correction" in turn.marks],
        "misled_corrections": [turn.interaction for turn in turns if "misled_correction" in turn.marks],
        "copies": [turn.interaction for turn in turns if "copy" in turn.marks],
    }
