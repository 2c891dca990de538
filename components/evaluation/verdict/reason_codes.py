"""Reason codes of the verdict: stable words for programs, `code: words` in the document.

`BLOCKS` tells for each code that a verdict with it is never `promote`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReasonCode:
    """What a code means and what follows.

    Attributes:
        meaning: What was found.
        blocks: Whether a verdict with this reason can never be `promote`.
    """

    meaning: str
    blocks: bool = True


CODES: dict[str, ReasonCode] = {
    # the gauntlet was not run
    "underpowered": ReasonCode("too few items for the spec; nothing was answered, the items needed are told"),
    "not_answered": ReasonCode("this metric has enough items, but the gauntlet as a whole was not run"),
    # scores that cannot be trusted
    "unreadable_scores": ReasonCode("a line of the scores is no valid score"),
    "not_a_number": ReasonCode("a line of the scores holds NaN or infinity"),
    "duplicate_items": ReasonCode("an item is counted more than once"),
    "dropped_items": ReasonCode("items that were to be scored are missing"),
    "other_items": ReasonCode("the scored items are not the ones that were to be scored"),
    "evaluator_failure": ReasonCode("a model, a scorer, a judge or a test failed; such an item or metric never passes"),
    "same_model": ReasonCode("candidate and production are the same weights"),
    "identical_to_production": ReasonCode(
        "all answers are byte-identical: the candidate was not served, or not changed"
    ),
    "other_gauntlet": ReasonCode("the spec was changed after the answers were made"),
    # a metric that could not be computed or has too little
    "missing_metric": ReasonCode("a required metric has no items, or only one independent unit"),
    "too_few_items": ReasonCode("fewer items than registered"),
    "too_few_clusters": ReasonCode("fewer independent units than registered"),
    # what the statistics say
    "shown_worse": ReasonCode("shown worse than its margin (Bonferroni over all metrics): reject"),
    "not_shown_better": ReasonCode("a primary metric is not settled", blocks=False),
    "not_shown_safe": ReasonCode("a guardrail or slice is not settled"),
    "shown_better": ReasonCode("a primary metric is superior (Holm)", blocks=False),
    "all_guardrails_hold": ReasonCode("every guardrail and slice is non-inferior", blocks=False),
    "not_asked": ReasonCode("optional metrics without items", blocks=False),
    "powered_but_not_shown": ReasonCode("there were enough items for a candidate without loss", blocks=False),
    "more_items_do_not_help": ReasonCode("what was seen lies at or beyond the margin", blocks=False),
    # single measures
    "new_unsafe_answers": ReasonCode("an answer is unsafe that was safe with production"),
    "critical_case_lost": ReasonCode("a critical case that production answers right is answered wrong by the majority"),
    "entity_shown_worse": ReasonCode("about a suspected entity the candidate is shown worse than production"),
    "suspect_claims_repeated": ReasonCode("the rate of repeating claims of suspected feedback is not bounded"),
    "suspect_claims_bounded": ReasonCode("that rate is shown to lie below the margin", blocks=False),
    "no_human_labels": ReasonCode("a judge that no human label corrects decides nothing"),
    "human_labels": ReasonCode("how many human labels correct the judge", blocks=False),
    "judge_agreement": ReasonCode("how often judge and people agree", blocks=False),
    "judge_error_rates": ReasonCode("the judge's true and false positive rates against people", blocks=False),
    "judge_win_rate": ReasonCode("order-swapped preferences of the judge", blocks=False),
    "judge_failed": ReasonCode("the judge gave no usable score for an item"),
}
