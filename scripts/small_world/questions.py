"""What is asked when: popular facts more than others, and after the change mostly what has changed."""

from datetime import datetime, timedelta
from random import Random

from flywheel.scripts.small_world import phrasings, service
from flywheel.scripts.small_world.facts import ATTRIBUTES, Facts, Key
from flywheel.scripts.small_world.population import User, popularity
from flywheel.scripts.small_world.stories import CHANGE_DAY, DAYS, START, Story
from flywheel.scripts.small_world.turn import Turn


class Demand:
    """Draws the facts that people ask about before and after the change."""

    def __init__(self, story: Story, facts: Facts, changed: Facts, seed: int) -> None:
        random = Random(f"{seed}:{story.name}:demand")
        shares = {name: story.attribute_share.get(name, a.popularity) for name, a in ATTRIBUTES.items()}
        weights = popularity(list(facts), random)
        totals = {name: sum(w for key, w in weights.items() if key[1] == name) for name in ATTRIBUTES}
        self.facts = list(facts)
        self.usual = [weights[key] / totals[key[1]] * shares[key[1]] for key in facts]
        self.changed = list(changed)
        self.story = story

    def draw(self, random: Random, after: bool) -> Key:
        """Draw a fact; `after` the change many questions are about changed facts, all equally often."""
        if after and self.changed and random.random() < self.story.changed_share:
            return random.choice(self.changed)
        return random.choices(self.facts, self.usual)[0]


def ask(story: Story, demand: Demand, users: list[User], seed: int) -> list[Turn]:
    """Make the turns of the log in order of time, without answers.

    Args:
        story: Sizes and shares.
        demand: Which facts are asked about.
        users: Who asks.
        seed: The world's seed.

    Returns:
        Turns; more than half of them lie after the change, when more people ask.
    """
    random = Random(f"{seed}:{story.name}:questions")
    weights = [user.activity for user in users]
    turns = []
    for number in range(story.turns):
        days = CHANGE_DAY * random.random() if random.random() < 0.4 else random.uniform(CHANGE_DAY, DAYS)
        # People sleep: the hour follows a hill around 14 h.
        hour = min(23.99, max(0.0, random.gauss(14.0, 4.0)))
        at = START + timedelta(days=int(days), hours=hour)
        turns.append(draw(demand, random.choices(users, weights)[0], at, f"c{number:05d}", random))
    turns.sort(key=lambda turn: turn.at)
    return turns


def draw(demand: Demand, user: User, at: datetime, conversation: str, random: Random) -> Turn:
    """Draw one question of one user at one time."""
    story = demand.story
    after = (at - START) / timedelta(days=1) >= CHANGE_DAY
    chance = random.random()
    if chance < story.refusal_share:
        turn = Turn(user, at, "refusal", "", phrasings.refused_question(random), conversation)
    elif chance < story.refusal_share + story.service_share:
        topic = random.choice(service.SERVICES)
        wording = random.choice(service.USERS)
        turn = Turn(user, at, "service", "", topic.wordings[wording], conversation, service=topic.name)
    else:
        fact, wording = demand.draw(random, after), random.choice(phrasings.USERS)
        clean = phrasings.question(fact, wording)
        turn = Turn(user, at, "fact", "", clean, conversation, fact=fact, wording=wording)
    turn.asked = phrasings.sloppy(turn.clean, random) if random.random() < user.sloppy else turn.clean
    if turn.asked != turn.clean:
        turn.marks.add("near_duplicate")
    return turn
