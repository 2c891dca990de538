"""KFP component of duplicates: any records, grouped by what they say."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def deduplicate_documents(
    records: dsl.Input[dsl.Dataset],
    kept: dsl.Output[dsl.Dataset],
    groups: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    text: str = "text",
    first_by: str = "",
    jaccard: float = 0.8,
    words: int = 5,
    semantic: float = 0.0,
    encoder: str = "hashed",
) -> int:
    """Group exact, near and if wanted semantic duplicates of any records, and keep one of each group.

    Args:
        records: Parquet or JSON lines.
        kept: Parquet, the records that stay, with `group_id`.
        groups: Parquet, for every record: row, group_id, duplicate_of, kind.
        metrics: Rows kept and removed.
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.
        text: Column to compare; several, joined by commas, are compared as one text.
        first_by: Column whose smallest value stays, such as a timestamp; "": the first record.
        jaccard: Least Jaccard similarity of the sets of word shingles of near-duplicates, in (0, 1].
        words: Words of a shingle, at least 1.
        semantic: Least cosine of semantic duplicates, in (0, 1]; 0: none are looked for. Documents whose numbers,
            names or negations differ are never semantic duplicates.
        encoder: Encoder for semantic duplicates: "hashed", or "minilm" where its extra is installed.

    Returns:
        Records kept.

    Raises:
        ValueError: The records cannot be read, a column is missing, or a parameter is out of range.
    """
    from flywheel.components.curation.stages.deduplicate_documents import deduplicate_documents as deduplicate
    from flywheel.components.store import lineage

    paths = records.path, kept.path, groups.path
    limits = float(jaccard), int(words), float(semantic), encoder
    record = deduplicate(*paths, run_id, text, first_by, *limits)
    lineage.record_step(store, record)
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    print(f"kept {record.rows.accepted} of {record.rows.rows_in} records, {record.rows.duplicates} duplicates")
    return record.rows.accepted
