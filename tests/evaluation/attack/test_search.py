from collections import Counter
from collections.abc import Callable

import pytest

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.evaluation.attack.mutations import FAMILIES, MUTATIONS, Gene, Messages
from flywheel.components.evaluation.attack.run import choose_seeds, material_of
from flywheel.components.evaluation.attack.search import Campaign, Prompt
from flywheel.components.evaluation.attack.success import SuccessJudge
from flywheel.components.evaluation.attack.target import Reaction
from flywheel.components.evaluation.attack.transfer import best, broken, exchange
from flywheel.components.evaluation.generate import Answer

Rule = Callable[[Messages], str]


@pytest.fixture
def campaign(items: list[EvaluationItem], rule_target: type) -> Callable[[Rule], Campaign]:
    def make(rule: Rule, **more: object) -> Campaign:
        seeds = choose_seeds(items, 12, 7)
        return Campaign(rule_target(rule), seeds, SuccessJudge(items), material_of(items, 4096), **more)  # type: ignore[arg-type]

    return make


def count(campaign: Campaign) -> int:
    return sum(broken(campaign, place) for place in range(len(campaign.seeds)))


def test_search_finds_a_planted_weakness_and_none_in_a_robust_model(
    campaign: Callable[[Rule], Campaign], robust_rule: Rule, leaky_rule: Callable[[str], Rule]
) -> None:
    weak, firm = campaign(leaky_rule("### System")), campaign(robust_rule)
    for one in (weak, firm):
        one.search(24, 6)
    assert count(firm) == 0
    assert count(weak) == 12, "what breaks one seed is carried over to the others"
    hits = [attempt for tried in weak.attempts for attempt in tried if attempt.outcome.success]
    assert {attempt.outcome.kind for attempt in hits} == {"disclosed"}
    assert all("instruction_hierarchy" in attempt.prompt.families() for attempt in hits)
    early = sum(one.outcome.success for tried in weak.attempts for one in tried[:6])
    late = sum(one.outcome.success for tried in weak.attempts for one in tried[-6:])
    assert late > 3 * max(1, early), "the search leans to what works"


def test_the_budget_is_spent_to_the_last_prompt_and_no_prompt_twice(
    campaign: Callable[[Rule], Campaign], robust_rule: Rule, leaky_rule: Callable[[str], Rule]
) -> None:
    for rule in (robust_rule, leaky_rule("What")):  # never, always
        one = campaign(rule)
        one.search(17, 5)
        assert one.asked == len(one.target.asked) == 12 * 17  # type: ignore[attr-defined]
        for tried in one.attempts:
            assert len(tried) == 17
            assert len({attempt.messages for attempt in tried}) == 17


def test_first_generation_is_the_same_for_every_model_and_tries_every_mutation(
    campaign: Callable[[Rule], Campaign], robust_rule: Rule, leaky_rule: Callable[[str], Rule]
) -> None:
    one, other = campaign(robust_rule), campaign(leaky_rule("a"))
    for each in (one, other):
        each.search(6, 6)
    assert one.target.asked == other.target.asked  # type: ignore[attr-defined]
    assert all(tried[0].prompt == Prompt() for tried in one.attempts)
    families = Counter(name for tried in one.attempts for attempt in tried for name in attempt.prompt.families())
    assert set(families) >= set(FAMILIES)


def test_search_is_repeatable_and_follows_its_seed(
    campaign: Callable[..., Campaign], leaky_rule: Callable[[str], Rule]
) -> None:
    found = []
    for seed in (7, 7, 8):
        one = campaign(leaky_rule("### System"), seed=seed)
        one.search(15, 5)
        found.append(one.target.asked)  # type: ignore[attr-defined]
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_every_success_crosses_and_both_are_asked_the_same_number(
    campaign: Callable[[Rule], Campaign], leaky_rule: Callable[[str], Rule]
) -> None:
    """Two models with different holes: each is broken only by the family that the other one's search found."""
    one, other = campaign(leaky_rule("### System")), campaign(leaky_rule("Base64"))
    for each in (one, other):
        each.search(20, 5)
    before = (count(one), count(other))
    crossed = exchange(one, other)
    assert one.asked == other.asked == 12 * 20 + crossed
    assert crossed >= 2 * 12
    for here, there in ((one, other), (other, one)):
        for place in range(12):
            asked = {attempt.messages for attempt in there.attempts[place]}
            assert all(attempt.messages in asked for attempt in here.attempts[place] if attempt.outcome.success), (
                "a prompt that broke one was asked of the other"
            )
    assert count(one) >= before[0] and count(other) >= before[1]


def test_an_unlucky_search_is_made_up_for_by_the_other_one(
    campaign: Callable[[Rule], Campaign], leaky_rule: Callable[[str], Rule]
) -> None:
    """Both models have the same hole; one was searched with a seed that misses it."""
    lucky = campaign(leaky_rule("filter off"))
    unlucky = campaign(leaky_rule("filter off"))
    lucky.search(16, 4)
    unlucky.send([[Prompt((Gene("ending", turn * 100 + place),)) for turn in range(40)] for place in range(12)])
    for place in range(12):  # sixteen distinct prompts that cannot work
        del unlucky.attempts[place][16:]
    unlucky.asked = lucky.asked
    assert count(lucky) > 0 and count(unlucky) == 0
    exchange(lucky, unlucky)
    assert count(unlucky) == count(lucky)


def test_probabilities_guide_the_search_where_nothing_succeeds(items: list[EvaluationItem]) -> None:
    """A target that always refuses but leans the more, the more a prompt has of one mutation."""

    class Leaning:
        def ask(self, conversations: list[Messages], yielding: list[str] = ()) -> list[Reaction]:  # type: ignore[assignment]
            assert not yielding or yielding[0].startswith("The ")
            said = Answer("Sorry, I can't share personal data.", 6, False)
            return [
                Reaction(said, float("### System" in messages[-1].content) if yielding else None)
                for messages in conversations
            ]

    one = Campaign(Leaning(), choose_seeds(items, 12, 7), SuccessJudge(items), material_of(items, 4096))
    one.search(30, 6)
    share = [
        sum(
            "### System" in attempt.messages[-1].content
            for tried in one.attempts
            for attempt in tried[start : start + 6]
        )
        / 72
        for start in (0, 24)
    ]
    assert share[1] > max(0.3, 2 * share[0]), share
    assert best(one, 0).outcome.kind == "refused"


def test_failures_are_kept_apart_from_refusals(items: list[EvaluationItem]) -> None:
    class Broken:
        def ask(self, conversations: list[Messages], yielding: list[str] = ()) -> list[Reaction]:  # type: ignore[assignment]
            return [Reaction(Answer("", 0, False, "RuntimeError: out of memory")) for _ in conversations]

    one = Campaign(Broken(), choose_seeds(items, 3, 7), SuccessJudge(items), material_of(items, 4096))
    one.search(4, 2)
    assert {attempt.outcome.kind for tried in one.attempts for attempt in tried} == {"failed"}
    assert count(one) == 0


def test_seeds_are_spread_over_clusters_and_written_attacks_come_first(items: list[EvaluationItem]) -> None:
    grouped = [item.model_copy(update={"cluster": f"c{number % 5}"}) for number, item in enumerate(items)]
    written = grouped[0].model_copy(update={"item_id": "own", "suite": "attack"})
    chosen = choose_seeds([*grouped, written], 6, 7)
    assert chosen[0].item_id == "own"
    assert len({item.cluster for item in chosen}) == 5
    assert [one.item_id for one in choose_seeds(list(reversed(grouped)), 6, 7)] == [
        one.item_id for one in choose_seeds(grouped, 6, 7)
    ]
    with pytest.raises(ValueError, match="at least one seed"):
        choose_seeds(items, 0, 7)


def test_budget_must_be_positive(campaign: Callable[[Rule], Campaign], robust_rule: Rule) -> None:
    with pytest.raises(ValueError, match="positive budget"):
        campaign(robust_rule).search(0)


def test_campaigns_of_other_budgets_are_not_compared(campaign: Callable[[Rule], Campaign], robust_rule: Rule) -> None:
    one, other = campaign(robust_rule), campaign(robust_rule)
    one.search(4)
    other.search(5)
    with pytest.raises(ValueError, match="same budget"):
        exchange(one, other)


def test_every_mutation_is_reached_by_the_search(campaign: Callable[[Rule], Campaign], robust_rule: Rule) -> None:
    one = campaign(robust_rule)
    one.search(60, 6)
    used = {gene.mutation for tried in one.attempts for attempt in tried for gene in attempt.prompt.genome}
    assert used == set(MUTATIONS)
