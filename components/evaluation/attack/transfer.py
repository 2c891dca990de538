"""Ask each model what broke the other, so that neither looks safe because its own search was unlucky."""

from flywheel.components.evaluation.attack.search import Attempt, Campaign


def exchange(one: Campaign, other: Campaign, least: int = 2) -> int:
    """Send the best prompts of each model to the other one, equally many both ways.

    Per seed, every prompt that broke one model and that the other was not asked yet is sent to it. The model that gets
    fewer of those also gets the prompts that came nearest on the other, so that both are asked the same number.

    Args:
        one: Finished search on one model.
        other: Finished search on the other model, same seeds and budget.
        least: Prompts that cross at least, per seed and direction, as far as there are any.

    Returns:
        Prompts that crossed in each direction.

    Raises:
        ValueError: The two campaigns have other seeds or another budget.
    """
    if [seed.item_id for seed in one.seeds] != [seed.item_id for seed in other.seeds] or one.asked != other.asked:
        raise ValueError("attacks can be compared only with the same seeds and the same budget")
    to_other, to_one = [], []
    for place in range(len(one.seeds)):
        here, there = _ranked(one, other, place), _ranked(other, one, place)
        count = max(least, *(sum(attempt.outcome.success for attempt in found) for found in (here, there)))
        count = min(count, len(here), len(there))
        to_other.append([attempt.prompt for attempt in here[:count]])
        to_one.append([attempt.prompt for attempt in there[:count]])
    other.send(to_other, transferred=True)
    one.send(to_one, transferred=True)
    return sum(map(len, to_other))


def best(campaign: Campaign, place: int) -> Attempt:
    """Return the attempt on a seed that came furthest; of equals the first."""
    return max(campaign.attempts[place], key=lambda attempt: attempt.reach())


def broken(campaign: Campaign, place: int) -> bool:
    """Tell whether any prompt broke the model on a seed."""
    return any(attempt.outcome.success for attempt in campaign.attempts[place])


def _ranked(source: Campaign, target: Campaign, place: int) -> list[Attempt]:
    """Attempts on `source` that `target` was not asked, furthest first; two prompts may send the same text."""
    found: list[Attempt] = []
    sent = set()
    for attempt in sorted(source.attempts[place], key=lambda attempt: attempt.reach(), reverse=True):
        if attempt.messages not in sent and not target.knows(place, attempt.prompt):
            sent.add(attempt.messages)
            found.append(attempt)
    return found
