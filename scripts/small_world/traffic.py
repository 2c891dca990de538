"""The users that the canary meets: they ask as after the change, and they know the truth of today."""

from random import Random

from flywheel.components.contracts.rollout import UserQuestion
from flywheel.scripts.small_world import phrasings, service
from flywheel.scripts.small_world.facts import Facts, sentence
from flywheel.scripts.small_world.population import User
from flywheel.scripts.small_world.questions import Demand, draw
from flywheel.scripts.small_world.stories import CHANGE_DAY, DAYS, START, Story
from flywheel.scripts.small_world.turn import Turn

_SERVICES = {topic.name: topic for topic in service.SERVICES}


def user_questions(story: Story, facts: Facts, changed: Facts, seed: int) -> list[UserQuestion]:
    """Make the traffic of the canary: every user asks two to four questions, shuffled as in life.

    Args:
        story: Users and what they ask about.
        facts: The facts of yesterday.
        changed: New values, in force now.
        seed: The world's seed.

    Returns:
        Questions in order of arrival; the topic is the attribute, the service topic or `refusal`.
    """
    from datetime import timedelta

    random = Random(f"{seed}:{story.name}:traffic")
    demand = Demand(story, facts, changed, seed)
    made: list[UserQuestion] = []
    for number in range(story.traffic_users):
        user = User(f"visitor-{number:05d}", activity=1.0, rates=0.5, corrects=0.5, sloppy=0.05)
        for part in range(random.randint(2, 4)):
            at = START + timedelta(days=random.uniform(CHANGE_DAY, DAYS))
            turn = draw(demand, user, at, f"v{number:05d}-{part}", random)
            made.append(
                UserQuestion(
                    subject=user.name,
                    conversation=turn.conversation,
                    messages=({"role": "user", "content": turn.asked},),
                    references=references(turn, facts | changed),
                    topic=turn.fact[1] if turn.fact else turn.service or turn.kind,
                )
            )
    random.shuffle(made)
    return made


def references(turn: Turn, truth: Facts) -> tuple[str, ...]:
    """Return the answers that the user takes as right."""
    if turn.fact is not None:
        return (sentence(turn.fact, truth[turn.fact]),)
    if turn.service:
        topic = _SERVICES[turn.service]
        return (topic.better, topic.old)
    return (phrasings.REFUSAL,)
