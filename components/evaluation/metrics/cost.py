"""What an answer costs: tokens of question and answer, at the prices of the spec.

The two models may have different prices, so a candidate can be dearer although it says less.
"""

from flywheel.components.evaluation.metrics import mean_ratio
from flywheel.components.evaluation.metrics.finding import Finding, Levels
from flywheel.components.evaluation.metrics.paired_rows import ArmColumns, Column, PairedRows
from flywheel.components.evaluation.verdict.spec import GauntletSpec, MetricSpec, Price

UNIT = "price of a thousand answers"


def compare(rows: PairedRows, metric: MetricSpec, levels: Levels, spec: GauntletSpec) -> Finding:
    """Compare the mean cost of an answer, candidate over production.

    Args:
        rows: Rows with tokens and, if questions are billed, prompt tokens.
        metric: The metric; its margin is the largest tolerable ratio.
        levels: Error rate and power.
        spec: The gauntlet, with prices.

    Returns:
        The finding; both estimates are the price of a thousand answers, in the currency of the spec.

    Raises:
        ValueError: Fewer than two clusters, or the questions are billed and their tokens were not counted.
    """
    if spec.prices is None:
        raise ValueError("the gauntlet states no prices")
    candidate = _price(rows.candidate, spec.prices.candidate)
    production = _price(rows.production, spec.prices.production)
    return mean_ratio.compare(candidate, production, rows.cluster, metric.margin, levels, UNIT)


def _price(arm: ArmColumns, price: Price) -> Column:
    if price.input and not (arm.prompt_tokens > 0).all():
        raise ValueError(
            "the scores do not count the tokens of every question, which the spec bills; evaluate again, or set the "
            "input price to 0"
        )
    return (arm.prompt_tokens * price.input + arm.tokens * price.output) / 1000
