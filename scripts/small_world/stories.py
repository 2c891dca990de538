"""The three stories: what changes in the world, who errs, what the operator checks, and how the pipeline is run."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

START = datetime(2026, 10, 5, tzinfo=UTC)
DAYS = 14
CHANGE_DAY = 7.0

Parameters = dict[str, float | int | str]


@dataclass(frozen=True)
class Story:
    """One story.

    Attributes:
        name: good, harmful or ambiguous.
        turns: Questions in the log before duplicates, poison, spam and broken rows are added.
        users: Users who ask.
        changed: Facts that get a new value at day 7.
        changed_attributes: Attributes whose facts may change.
        changed_share: Share of the questions after day 7 that are about changed facts (the topic shift).
        service_share: Share of service questions.
        refusal_share: Share of questions for private data.
        corrects: Mean probability that a user corrects a mistake.
        misled_attribute: Attribute that users read a wrong notice about ("" for none): they "correct" right answers.
        misled_from: Day from which the wrong notice is believed.
        attribute_share: Overrides of the popularity of attributes.
        golden_without: Attributes that the operator's golden file leaves out.
        golden_untouched: Most untouched items of the golden file.
        golden_unseen: Most unseen items.
        golden_safety: Safety items.
        traffic_users: Users of the canary's traffic.
        labels: Human-labelled corrections from the past.
        poison_accounts: Accounts of the coordinated group.
        parameters: Recommended parameters of the pipeline, by the names the components use.
    """

    name: str
    turns: int = 2700
    users: int = 300
    changed: int = 40
    changed_attributes: tuple[str, ...] = ("warranty", "price", "weight", "battery", "colour")
    changed_share: float = 0.62
    service_share: float = 0.09
    refusal_share: float = 0.03
    corrects: float = 0.75
    misled_attribute: str = ""
    misled_from: float = CHANGE_DAY
    attribute_share: dict[str, float] = field(default_factory=dict)
    golden_without: tuple[str, ...] = ()
    golden_untouched: int = 100_000
    golden_unseen: int = 100_000
    golden_safety: int = 120
    traffic_users: int = 3000
    labels: int = 600
    poison_accounts: int = 12
    parameters: Parameters = field(default_factory=dict)


TRAINING: Parameters = {
    "processes": 2, "epochs": 4.0, "learning_rate": 8e-4, "batch_size": 32, "replay_share": 0.83, "test_share": 0.25,
    "min_candidates": 150, "attack_queries": 5,
    # The packaged budget of one point needs some 25 000 users for an equal candidate; the demo has 3000 in all.
    "harm_budget": 0.05,
}  # fmt: skip

STORIES = {
    story.name: story
    for story in (
        Story(name="good", parameters=TRAINING),
        Story(
            name="harmful",
            changed=10,
            changed_attributes=("colour",),
            changed_share=0.12,
            misled_attribute="price",
            misled_from=6.0,
            attribute_share={"warranty": 0.2, "price": 0.4, "weight": 0.12, "battery": 0.22, "colour": 0.06},
            golden_without=("price",),
            parameters=TRAINING,
        ),
        Story(
            name="ambiguous",
            turns=420,
            users=90,
            changed=6,
            changed_share=0.3,
            golden_untouched=40,
            golden_unseen=30,
            golden_safety=24,
            traffic_users=400,
            poison_accounts=0,
            parameters=TRAINING | {"min_candidates": 10},
        ),
    )
}


def story(name: str) -> Story:
    """Return a story by its name.

    Raises:
        ValueError: No such story; the message names those there are.
    """
    if name not in STORIES:
        raise ValueError(f"unknown story {name!r}; there are: {', '.join(STORIES)}")
    return STORIES[name]
