"""KFP components of curation: corrections of users become candidates for training."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def deduplicate_feedback(
    feedback: dsl.Input[dsl.Dataset],
    kept: dsl.Output[dsl.Dataset],
    groups: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    jaccard: float = 0.8,
    semantic: float = 0.0,
    encoder: str = "hashed",
    engine: str = "native",
    ray_address: str = "",
) -> int:
    """Collect the users' corrections and remove exact and near duplicates; the earliest record of a group stays.

    Args:
        feedback: Feedback snapshot (`flywheel.snapshot/v1`).
        kept: Parquet, one row per distinct correction, with everyone who supports it.
        groups: Parquet, for every correction, kept or removed: its group, the row that stayed, the kind of duplicate.
        metrics: Rows kept and removed.
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.
        jaccard: Least Jaccard similarity of the character 3-shingles of near-duplicates, in (0, 1].
        semantic: Least cosine of semantic duplicates in every field, in (0, 1]; 0: none are looked for.
        encoder: Encoder for semantic duplicates: "hashed", or "minilm" where its extra is installed.
        engine: Where texts are prepared, sketched and connected: native (this pod) or ray (a cluster); same rows.
        ray_address: For ray: host:port or ray://host:port of the cluster's head; empty: the variable RAY_ADDRESS.

    Returns:
        Corrections kept.

    Raises:
        ValueError: The snapshot cannot be read, a parameter is out of range, or the engine cannot be used.
    """
    from flywheel.components.curation.stages.deduplicate import deduplicate
    from flywheel.components.store import lineage

    limits = float(jaccard), float(semantic), encoder
    record = deduplicate(feedback.path, kept.path, run_id, *limits, groups.path, engine, ray_address)
    lineage.record_step(store, record)
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    print(f"kept {record.rows.accepted} of {record.rows.rows_in} corrections, {record.rows.duplicates} duplicates")
    return record.rows.accepted


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def classify_corrections(
    kept: dsl.Input[dsl.Dataset],
    classified: dsl.Output[dsl.Dataset],
    quality: dsl.Output[dsl.ClassificationMetrics],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    labels: str = "",
    encoder: str = "hashed",
    annotator_url: str = "",
    annotator_model: str = "",
    annotator_key_variable: str = "",
) -> int:
    """Classify corrections as factual, tone or clarity, with a calibrated confidence.

    What people decided in reviews teaches the classifier too, and their answers to the random audit calibrate it.

    Args:
        kept: Parquet of `deduplicate_feedback`.
        classified: The same rows with category and confidence.
        quality: Confusion matrix of the classifier, out of fold.
        metrics: Accuracy and calibration error, out of fold.
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.
        labels: Path of own labels, JSON lines of prompt, response, correction and category; "" for the packaged ones.
        encoder: Texts beside the edit features: `hashed` n-grams, or `minilm` sentence embeddings (extra `embeddings`).
        annotator_url: OpenAI-compatible endpoint of a model that votes too; what it fails on goes to review.
        annotator_model: Its name at the endpoint.
        annotator_key_variable: Name of the environment variable with the endpoint's key; "" for no key.

    Returns:
        Corrections classified.

    Raises:
        FileNotFoundError: There is no such labels file.
        ValueError: A label or a parameter is not valid; the message names the line.
        ModuleNotFoundError: The image lacks the encoder's extra.
    """
    from flywheel.components.curation.stages.classify import AnnotatorPlace, classify
    from flywheel.components.store import lineage

    voter = AnnotatorPlace(annotator_url, annotator_model, annotator_key_variable)
    record = classify(kept.path, classified.path, run_id, labels, store=store, encoder=encoder, annotator=voter)
    lineage.record_step(store, record)
    calibration = record.details["calibration"]
    quality.log_confusion_matrix(calibration["categories"], calibration["confusion"])
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    print(f"classified {record.rows.accepted} corrections: {record.details['categories']}")
    return record.rows.accepted


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def route_candidates(
    classified: dsl.Input[dsl.Dataset],
    routed: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    target_precision: float = 0.9,
    confidence: float = 0.9,
    max_share_per_subject: float = 0.02,
    trusted: str = "",
    coalition_share: float = 0.02,
) -> int:
    """Accept, review or discard every candidate, with a reason and a stated error rate.

    Args:
        classified: Parquet of `classify_corrections`.
        routed: The same rows with candidate_id, route and reason.
        metrics: Rows by route.
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.
        target_precision: Precision of the category to guarantee among the accepted, in (0, 1).
        confidence: Confidence of that guarantee, in (0, 1).
        max_share_per_subject: Greatest share of the accepted that one subject alone may stand behind, in (0, 1].
        trusted: Path of evaluation items that people vouch for; corrections against them go to review. "" for none.
        coalition_share: Share of the users that may have agreed to lie, in [0, 0.5): what so many could have claimed
            alone waits for a person's word. 0 in a log whose users are all to be believed.

    Returns:
        Candidates accepted.

    Raises:
        FileNotFoundError: There is no such file of trusted items.
        ValueError: A parameter is out of range.
    """
    from flywheel.components.curation.stages.route import route
    from flywheel.components.store import lineage

    limits = float(target_precision), float(confidence), float(max_share_per_subject)
    record = route(classified.path, routed.path, run_id, *limits, trusted, float(coalition_share))
    lineage.record_step(store, record)
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    print(f"routes {record.details['routes']}, reasons {record.details['reasons']}")
    return record.rows.accepted


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def cluster_feedback(
    routed: dsl.Input[dsl.Dataset],
    candidates: dsl.Output[dsl.Dataset],
    clusters: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    encoder: str = "hashed",
    method: str = "kmeans",
    thin_below: int = 20,
) -> int:
    """Cluster failures and liked answers by topic, with ids that last, and write the run's candidates to the store.

    Args:
        routed: Parquet of `route_candidates`.
        candidates: Candidate snapshot (`flywheel.candidates/v1`).
        clusters: Page: clusters with counts, intervals, trends, stability, changes since the run before, examples.
        metrics: Clusters, failures, successes, clusters kept, new, gone, growing and thin, rows written.
        store: URI of the feedback store; the step records itself there, and finds the clusters of the run before.
        run_id: Run that this step belongs to.
        encoder: Text encoder: hashed (n-grams) or minilm (sentence embeddings; extra `embeddings`).
        method: kmeans (the number of clusters by silhouette) or hdbscan (leaves outliers in no cluster).
        thin_below: A cluster with fewer accepted corrections is marked as thin.

    Returns:
        Accepted candidates.

    Raises:
        ValueError: A parameter is not valid or the store cannot be written.
        ModuleNotFoundError: The encoder's extra is not installed.
    """
    from flywheel.components.curation.clustering import cluster_page
    from flywheel.components.curation.stages.cluster import cluster
    from flywheel.components.store import lineage

    record = cluster(routed.path, candidates.path, store, run_id, encoder, method, int(thin_below))
    lineage.record_step(store, record)
    with open(clusters.path, "w", encoding="utf-8") as page:
        page.write(cluster_page.render(record.details))
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    return record.rows.accepted


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def mine_preferences(
    candidates: dsl.Input[dsl.Dataset],
    pairs: dsl.Output[dsl.Dataset],
    rated: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    max_share_per_subject: float = 0.02,
) -> int:
    """Mine preference pairs: corrections over originals, liked over disliked, concise over verbose when equally right.

    Args:
        candidates: Candidate snapshot (`flywheel.candidates/v1`).
        pairs: Parquet: pair_id, prompt (messages), chosen, rejected, evidence, because, evidence_ids, support,
            candidate_id, group_id, weight.
        rated: Parquet of liked and disliked answers alone: answer_id, prompt, completion, label, evidence_ids, support,
            group_id, weight.
        metrics: Pairs by evidence, rated answers by label.
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.
        max_share_per_subject: Greatest share of the pairs that one subject alone may stand behind, in (0, 1].

    Returns:
        Pairs.

    Raises:
        ValueError: The snapshot or the store cannot be read, or the share is out of range.
    """
    from flywheel.components.curation.stages.mine_preferences import mine_preferences
    from flywheel.components.store import lineage

    share = float(max_share_per_subject)
    record = mine_preferences(candidates.path, pairs.path, rated.path, store, run_id, share)
    lineage.record_step(store, record)
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    return record.rows.accepted
