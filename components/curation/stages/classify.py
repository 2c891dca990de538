"""Give corrections a category and a confidence."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.curation.stages.files import StageFile, find, writer
from flywheel.components.curation.stages.records import record

ANNOTATOR_FAILED = "annotator_failed"
_ROWS = 2048
_SHOWN = ["prompt", "response", "correction", "comment"]  # to the classifier
_NEW = (("category", pa.string()), ("confidence", pa.float64()), ("held", pa.string()))
_CALIBRATION = ("predicted", "scores", "correct", "audited")


@dataclass(frozen=True)
class AnnotatorPlace:
    """Where a language model is asked for its vote.

    Attributes:
        url: OpenAI-compatible endpoint; "" for none.
        model: Model name there.
        key_variable: NAME of the environment variable with the key; "" for none.
    """

    url: str = ""
    model: str = ""
    key_variable: str = ""


def classify(
    kept: str,
    classified: str,
    run_id: str,
    labels: str = "",
    *,
    store: str = "",
    encoder: str = "hashed",
    annotator: AnnotatorPlace | None = None,
) -> StepRecord:
    """Add category and confidence to the kept corrections, which stream.

    People's reviews teach the classifier beside the labels, and those of the random audit calibrate it. A correction
    that the language model gave no readable vote on is `held` for review, whatever the rest of the classifier thinks.

    Args:
        kept: Parquet file of `deduplicate`.
        classified: Path of the Parquet file to write.
        run_id: Run.
        labels: Path of the user's labels (JSON lines), "" for none.
        store: URI of the feedback store with the reviews; "" to leave them out.
        encoder: Encoder beside the edit features (`encoders.NAMES`).
        annotator: A language model that votes too; None or without a URL: none.

    Raises:
        ValueError: The labels, the rows, the encoder's name or the endpoint's settings are not valid.
        FileNotFoundError: A path does not exist.
        ModuleNotFoundError: The encoder's extra is not installed.
    """
    from flywheel.components.curation.categories import category_classifier
    from flywheel.components.curation.categories.category import CATEGORIES
    from flywheel.components.curation.categories.llm_annotator import LlmAnnotator
    from flywheel.components.curation.label_noise.doubtful_labels import doubtful_labels
    from flywheel.components.curation.review import contents, reviewed
    from flywheel.components.curation.routing.audited import review_labels
    from flywheel.components.evaluation.chat_endpoint import ChatEndpoint

    started = datetime.now(UTC)
    file = find(kept)
    voter = None
    if annotator and annotator.url:
        voter = LlmAnnotator(ChatEndpoint(annotator.url, annotator.model, annotator.key_variable))
    version = reviewed.version_for(store, run_id) if store else None
    said = reviewed.read(version)
    taught = review_labels(said, [row for row in _rows(file) if contents.of_row(row) in said.decisions])
    own = [*(category_classifier.read_labels(labels) if labels else ()), *taught.labels]
    model, quality = category_classifier.train(own, encoder=encoder, annotator=voter)
    calibration = {name: list(getattr(quality, name)) for name in _CALIBRATION}
    guessed, sure = model.predict(taught.rejected)
    calibration["predicted"] += guessed
    calibration["scores"] += sure
    calibration["correct"] += [False] * len(taught.rejected)
    calibration["audited"] += [edit["audited_at"] for edit in taught.rejected]
    pinned = version.model_dump(mode="json") if version else None
    categories: Counter[str] = Counter()
    confidence: list[float] = []
    failures = 0
    schema = pa.schema([*file.schema, *_NEW])
    with writer(classified, schema, {**file.notes, "calibration": calibration, "reviews": pinned}) as out:
        for batch in file.batches(rows=_ROWS):
            named, sure = model.predict(batch.select(_SHOWN).to_pylist())
            held = [ANNOTATOR_FAILED if voter and not one else "" for one in sure]
            new = [pa.array(values, kind) for values, (_, kind) in zip((named, sure, held), _NEW, strict=True)]
            out.write(pa.RecordBatch.from_arrays([*batch.columns, *new], schema=schema))
            categories.update(named)
            confidence += sure
            failures += sum(map(bool, held))
    mine = {id(label) for label in own}
    doubts = doubtful_labels(
        quality.rows,
        [row["category"] for row in quality.rows],
        CATEGORIES,
        quality.chances,
        {place for place, row in enumerate(quality.rows) if id(row) in mine},
    )
    shown = {name: value for name, value in vars(quality).items() if name not in (*_CALIBRATION, "rows", "chances")}
    return record(
        "classify_corrections",
        run_id,
        started,
        RowCounts(rows_in=file.rows, accepted=file.rows),
        {
            "accuracy": quality.accuracy,
            "calibration_error_before": quality.error_before,
            "calibration_error_after": quality.error_after,
            "mean_confidence": float(sum(confidence) / len(confidence)) if confidence else 0.0,
            "review_labels": len(taught.labels),
            "doubtful_labels": doubts["suspected"],
            "audit_answers": sum(bool(at) for at in calibration["audited"]),
            **({"annotator_failures": failures} if voter else {}),
        },
        {
            "categories": dict(sorted(categories.items())),
            "calibration": {**shown, "categories": list(CATEGORIES)},
            "doubtful_labels": doubts,
            "error_rate": f"out of fold, {1 - quality.accuracy:.1%} of the labelled corrections get a wrong category",
            "annotator": {"model": annotator.model, "failures": voter.failures} if annotator and voter else None,
        },
    )


def _rows(file: StageFile) -> Iterator[dict[str, Any]]:
    for batch in file.batches():
        yield from batch.to_pylist()
