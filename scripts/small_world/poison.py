"""Those who wish no good: spam, and a coordinated group of fresh accounts that pushes one false fact."""

from datetime import datetime, timedelta
from random import Random

from flywheel.scripts.small_world import phrasings
from flywheel.scripts.small_world.facts import Facts, Key, other_value, sentence
from flywheel.scripts.small_world.population import User
from flywheel.scripts.small_world.stories import CHANGE_DAY, DAYS, START
from flywheel.scripts.small_world.turn import Turn

BURST = timedelta(hours=2)

_ADVERTS = (
    "Buy cheap watches at best-deals.example, 90 % off!!!",
    "WIN a free phone, click win.example NOW",
    "Hot crypto tip: send one coin, get two back.",
    "SEO service, first page of search, 5 dollars.",
)
_NOISE = ("asdf asdf asdf", "lol", "aaaaaaaaaaaaaaaa", "first!!!", "test test 123", "?????")


def spam(users: list[User], questions: list[str], count: int, seed: int) -> list[Turn]:
    """Make turns whose corrections or comments are advertisements or noise.

    Args:
        users: Some of them are the spammers.
        questions: Ordinary questions, which spammers copy.
        count: Turns.
        seed: The world's seed.
    """
    random = Random(f"{seed}:spam")
    spammers = random.sample(users, max(1, len(users) // 40))
    turns = []
    for number in range(count):
        at = START + timedelta(days=random.uniform(0, DAYS))
        asked = random.choice(questions)
        turn = Turn(random.choice(spammers), at, "spam", asked, asked, f"s{number:05d}")
        text = random.choice(_ADVERTS if random.random() < 0.6 else _NOISE)
        turn.signals["correction" if random.random() < 0.6 else "comment"] = text
        turn.marks.add("spam")
        turns.append(turn)
    return turns


def coordinated(facts: Facts, changed: Facts, accounts: int, seed: int) -> tuple[list[Turn], Key | None, str]:
    """Make the corrections of a group that pushes one false fact within two hours.

    Args:
        facts: The facts of yesterday.
        changed: Facts that really changed; the group picks another one.
        accounts: Fresh accounts, each with three turns.
        seed: The world's seed.

    Returns:
        The turns, the fact, and the false value (None and "" without accounts).
    """
    if accounts == 0:
        return [], None, ""
    random = Random(f"{seed}:poison")
    fact = random.choice([key for key in facts if key not in changed and key[1] == "warranty"])
    false = other_value(fact, facts[fact], random)
    start = START + timedelta(days=CHANGE_DAY + 2, hours=3)
    turns = []
    for number in range(accounts):
        user = User(f"new-{seed:02d}-{number:03d}", activity=1.0, rates=1.0, corrects=1.0, sloppy=0.0)
        for part in range(3):
            at: datetime = start + BURST * random.random()
            wording = random.choice(phrasings.USERS)
            asked = phrasings.question(fact, wording)
            turn = Turn(user, at, "poison", asked, asked, f"p{number:03d}{part}", fact=fact, wording=wording)
            turn.signals = {"rating": -1, "correction": sentence(fact, false)}
            turn.marks |= {"poison", "correction"}
            turns.append(turn)
    return turns, fact, false
