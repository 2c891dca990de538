"""KFP components of human review: ask people about candidates, and take in what they say."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def import_reviews(
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    queue: str = "",
    reviewer: str = "",
    url: str = "",
    project: str = "Flywheel reviews",
    key_variable: str = "FLYWHEEL_LABEL_STUDIO_TOKEN",
) -> int:
    """Take in human reviews from a CSV queue or Label Studio, and fix the reviews that the run goes by.

    Args:
        metrics: Reviews taken in, decisions, agreement of the reviewers (Krippendorff's alpha).
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.
        queue: Path of an answered CSV queue; "" for none.
        reviewer: Who answered the rows of the CSV queue that name nobody; only a pseudonym is kept.
        url: Address of Label Studio; "" for none.
        project: Title of the project in Label Studio.
        key_variable: Name of the environment variable with Label Studio's access token.

    Returns:
        New reviews.

    Raises:
        FileNotFoundError: There is no such CSV queue.
        ValueError: The file is no review queue, or a parameter is not valid.
        ReviewError: Label Studio cannot be used.
    """
    from flywheel.components.curation.review.import_step import import_reviews
    from flywheel.components.store import lineage

    record = import_reviews(
        store, run_id, queue=queue, reviewer=reviewer, url=url, project=project, token_variable=key_variable
    )
    lineage.record_step(store, record)
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    print("\n".join([record.outcome, *record.details["first_faults"]]))
    return int(record.metrics["reviews_new"])


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def export_for_review(
    candidates: dsl.Input[dsl.Dataset],
    queue: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    url: str = "",
    project: str = "Flywheel reviews",
    key_variable: str = "FLYWHEEL_LABEL_STUDIO_TOKEN",
    limit: int = 0,
) -> int:
    """Ask people about a random audit sample and about what the router sent to review.

    Args:
        candidates: Candidate snapshot (`flywheel.candidates/v1`).
        queue: CSV queue, to answer in a spreadsheet.
        metrics: Requests, the audit among them, tasks added to Label Studio.
        store: URI of the feedback store; the requests go into its table `reviews`.
        run_id: Run that this step belongs to.
        url: Address of Label Studio; "" for the CSV queue alone.
        project: Title of the project in Label Studio; made when there is none.
        key_variable: Name of the environment variable with Label Studio's access token.
        limit: Most requests; 0 for no limit.

    Returns:
        Requests.

    Raises:
        ValueError: A parameter is not valid.
        ReviewError: Label Studio cannot be used; the requests are in the store and in the CSV queue by then.
    """
    from flywheel.components.contracts.tables import CandidateSnapshot
    from flywheel.components.curation.review.exporting import export
    from flywheel.components.store import lineage

    snapshot = CandidateSnapshot.read(candidates.path)
    place = {"url": url, "project": project, "token_variable": key_variable}
    record = export(snapshot, queue.path, run_id, **place, limit=int(limit))
    lineage.record_step(store, record)
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    print(record.outcome)
    return int(record.metrics["requested"])
