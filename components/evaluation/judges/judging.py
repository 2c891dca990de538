"""Let a judge score the answers of a scores file, and put people's labels beside its scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from flywheel.components.contracts.dataset import Suite
from flywheel.components.evaluation.items import read_items
from flywheel.components.evaluation.judges.human_labels import HumanLabels, read_labels
from flywheel.components.evaluation.judges.judge import Comparison, Judge, Judgement
from flywheel.components.evaluation.scores.score_lines import ScoreLine, ScoresHeader
from flywheel.components.evaluation.scores.score_merge import annotate

SUITES: tuple[Suite, ...] = ("helpfulness",)
"""Suites that are judged when no others are named."""


@dataclass(frozen=True)
class Judged:
    """What judging did.

    Attributes:
        items: Items judged.
        failures: Items that the judge gave no verdict on.
        labels: Items that people labelled.
        judge: Identity of the judge; empty when there was nothing to judge.
        first_failure: What went wrong first; empty when nothing did.
    """

    items: int
    failures: int
    labels: int
    judge: str
    first_failure: str


def make_judge(
    kind: str,
    cache: str | Path,
    url: str = "",
    model: str = "",
    api_key_variable: str = "",
    timeout: float = 60.0,
) -> Judge:
    """Make the judge that the settings name.

    Args:
        kind: `overlap` (chrF with the references), `likelihood` (under the local model folder `model`), or an LLM at
            `url` that says which answer it prefers (`preference`) or how good each is (`score`).
        cache: Folder for the replies of an LLM.
        url: Base URL of an OpenAI-compatible endpoint.
        model: Name of the model there, or the folder of the local one.
        api_key_variable: Name of the environment variable that holds the API key.
        timeout: Longest time for one reply, seconds.

    Returns:
        The judge.

    Raises:
        ValueError: The kind is unknown, or what it needs is missing.
    """
    from flywheel.components.evaluation.judges import local_judge

    if kind == "overlap":
        return local_judge.OverlapJudge()
    if kind == "likelihood":
        if not model:
            raise ValueError("the likelihood judge needs the folder of a local model")
        return local_judge.LikelihoodJudge(model)
    if kind not in ("preference", "score"):
        raise ValueError(f"judge must be overlap, likelihood, preference or score, got {kind!r}")
    from flywheel.components.evaluation.chat_endpoint import ChatEndpoint
    from flywheel.components.evaluation.judges.endpoint_judge import EndpointJudge
    from flywheel.components.evaluation.judges.reply_cache import ReplyCache

    if not url:
        raise ValueError(f"the judge {kind} needs the URL of an OpenAI-compatible endpoint")
    return EndpointJudge(ChatEndpoint(url, model, api_key_variable, timeout), ReplyCache(cache), kind)


def judge_scores(
    scores_in: str | Path,
    scores_out: str | Path,
    items_path: str | Path,
    judge: Judge,
    labels: str | Path = "",
    suites: Sequence[Suite] = SUITES,
) -> Judged:
    """Judge both answers of every item of some suites.

    Args:
        scores_in: Scores file.
        scores_out: Where the scores with judgements go; may be `scores_in`.
        items_path: Evaluation items, JSON lines: questions and references.
        judge: Who judges.
        labels: Human labels of a random part of the items; empty: none.
        suites: Suites to judge.

    Returns:
        What was done. Without items of these suites the scores are handed on as they are.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is not valid, the labels do not fit the scores, or the judge is one of the two models.
        EndpointError: The judge's endpoint answered nothing at all.
    """
    everything = lines_of(scores_in)
    chosen = [line for line in everything if line.suite in suites]
    if not chosen:
        if str(labels) and everything:  # an underpowered evaluation answered nothing: that is no fault of the labels
            raise ValueError(f"human labels were given, but the scores hold no items of suite {' or '.join(suites)}")
        annotate(scores_in, scores_out, lambda line: line, {})
        return Judged(0, 0, 0, "", "")
    digest = getattr(judge, "digest", "")
    if digest and digest in _digests(scores_in):
        raise ValueError("the judge is one of the two models under comparison; a model may not judge itself")
    people = read_labels(labels, chosen) if str(labels) else HumanLabels({}, "")
    questions = {item.item_id: item for item in read_items(items_path)}
    strangers = [line.item_id for line in chosen if line.item_id not in questions]
    if strangers:
        raise ValueError(f"{items_path} does not hold item {strangers[0]!r} of the scores; give the items they are of")
    said = judge.judge(
        [
            Comparison(
                messages=questions[line.item_id].messages,
                references=questions[line.item_id].references,
                candidate=line.candidate.answer,
                production=line.production.answer,
            )
            for line in chosen
        ]
    )
    found = {line.item_id: judgement for line, judgement in zip(chosen, said, strict=True)}
    settings = {"judge": judge.identity}
    if people.scores:
        settings |= {"human_labels": people.digest}
    annotate(scores_in, scores_out, lambda line: _with(line, found, people), settings)
    failures = [judgement.failure for judgement in said if judgement.failure]
    return Judged(len(chosen), len(failures), len(people.scores), judge.identity, failures[0] if failures else "")


def _digests(path: str | Path) -> tuple[str, str]:
    """Return the digests of (candidate, production) that a scores file is about."""
    with Path(path).open("rb") as file:
        header = ScoresHeader.model_validate_json(file.readline())
    return header.candidate_digest, header.production_digest


def lines_of(path: str | Path) -> list[ScoreLine]:
    """Return the readable lines of a scores file; the verdict reports the others.

    Raises:
        FileNotFoundError: There is no such file.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"no scores at {source}")
    lines = []
    for text in source.read_bytes().split(b"\n")[1:]:
        try:
            lines.append(ScoreLine.model_validate_json(text))
        except ValidationError:
            continue
    return lines


def _with(line: ScoreLine, found: dict[str, Judgement], people: HumanLabels) -> ScoreLine:
    if line.item_id not in found:
        return line
    judgement = found[line.item_id]
    candidate, production = people.scores.get(line.item_id, (None, None))
    failed = (f"judge_failed: {judgement.failure}",) if judgement.failure else ()
    arms = {
        "candidate": (line.candidate, judgement.candidate, candidate),
        "production": (line.production, judgement.production, production),
    }
    changed = {
        arm: score.model_copy(update={"helpful": helpful, "human": human, "flags": (*score.flags, *failed)})
        for arm, (score, helpful, human) in arms.items()
    }
    return line.model_copy(update={"preference": judgement.preference, **changed})
