"""The KFP component of synthetic expansion."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.TRAINING, install_kfp_package=False)
def expand_thin_clusters(
    candidates: dsl.Input[dsl.Dataset],
    synthetic: dsl.Output[dsl.Dataset],
    page: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    golden: str = "",
    generator: str = "templates",
    model: str = "",
    url: str = "",
    key_variable: str = "",
    min_size: int = 20,
    per_parent: int = 3,
    max_share: float = 0.1,
    max_requests: int = 200,
    temperature: float = 0.8,
    seed: int = 7,
) -> int:
    """Make marked synthetic rows for clusters with too few corrections; they never enter an evaluation split.

    Args:
        candidates: Candidate snapshot (`flywheel.candidates/v1`).
        synthetic: JSON lines of synthetic rows, for `assemble_dataset`.
        page: The thin clusters, what was made and what the gates rejected.
        metrics: Thin clusters, rows, their share.
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.
        golden: JSON lines of evaluation items; none of their questions is made. "" for none.
        generator: `templates` (frames that the log teaches), `endpoint` or `local` (a model paraphrases).
        model: Name of the endpoint's model, or the folder of the local one.
        url: Base URL of an OpenAI-compatible endpoint, for `endpoint`.
        key_variable: Name of the environment variable that holds the endpoint's API key; "" for none.
        min_size: Accepted corrections from which a cluster is not thin; 0 expands nothing.
        per_parent: Most rows from one correction.
        max_share: Greatest share of synthetic rows among corrections and synthetic rows, in [0, 1).
        max_requests: Most questions to the model.
        temperature: Of the model.
        seed: Of the model.

    Returns:
        Synthetic rows.

    Raises:
        ValueError: A parameter is not valid, or the model cannot be loaded.
        EndpointError: The endpoint answers nothing.
    """
    from flywheel.components.curation.synthetic import expand, writers
    from flywheel.components.store import lineage

    writer = writers.writer(generator, model, url, key_variable, float(temperature), int(seed), store)
    paths = candidates.path, synthetic.path, page.path, run_id, golden
    limits = int(min_size), int(per_parent), float(max_share)
    record = expand.expand_thin_clusters(*paths, *limits, writer, int(max_requests))
    lineage.record_step(store, record)
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    print(f"{int(record.metrics['synthetic_rows'])} synthetic rows for {int(record.metrics['thin_clusters'])} clusters")
    return record.rows.accepted
