"""The KFP component of the bias check."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def check_bias(
    routed: dsl.Input[dsl.Dataset],
    page: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    columns: str = "",
    alpha: float = 0.05,
    tolerance: float = 0.1,
) -> str:
    """Check whom the router accepts, and who is in the data: group by group and in slices that nobody named.

    Args:
        routed: Parquet of `route_candidates`.
        page: Rates by group with intervals, slices, and who is represented.
        metrics: Groups compared and differing, the widest gap, slices.
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.
        columns: What to group by, separated by commas: language, source, model_version, subject_activity, category,
            length, attributes.NAME; "" for the first six.
        alpha: Chance that `look` is said although nothing differs by more than the tolerance, in (0, 1).
        tolerance: Difference of rates that is not worth a word, in [0, 1).

    Returns:
        `look` when a group or slice is shown to differ, else `ok`; nothing is blocked.

    Raises:
        ValueError: A column is unknown or a parameter is out of range.
    """
    from flywheel.components.curation.bias.check import check
    from flywheel.components.store import lineage

    record = check(routed.path, page.path, run_id, columns, float(alpha), float(tolerance))
    lineage.record_step(store, record)
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    print(f"bias check: {record.outcome}, {int(record.metrics['groups_compared'])} groups compared")
    return record.outcome
