"""Build the small world of a story: all files that a run of the pipeline needs, and the truth about them."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from flywheel.scripts.small_world import facts as world_facts
from flywheel.scripts.small_world import feedback_log, golden, labels, production_model, stories, traffic


@dataclass(frozen=True)
class World:
    """Where the files of a world lie, and how the pipeline is best run on them.

    Attributes:
        story: Its name.
        logs: `flywheel.feedback/v1` lines, some of them broken.
        replay: JSON lines of {"messages", "response"}: original training data, out of date where facts changed.
        golden: JSON lines of `EvaluationItem`.
        traffic: JSON lines of `UserQuestion`.
        labels: JSON lines of {"prompt", "response", "correction", "category"}.
        production: Model folder.
        truth: What is true, for tests: facts, changes, counts, planted personal data.
        parameters: Recommended pipeline parameters of the story.
    """

    story: str
    logs: Path
    replay: Path
    golden: Path
    traffic: Path
    labels: Path
    production: Path
    truth: Path
    parameters: dict[str, float | int | str]


def build_world(
    story: str,
    seed: int,
    folder: Path,
    cache: Path,
    respond: feedback_log.Responder | None = None,
    progress: Callable[[str], None] | None = None,
) -> World:
    """Build a world, or build it again with the same bytes.

    Args:
        story: good, harmful or ambiguous.
        seed: Everything follows from it.
        folder: Where the files go; made when missing.
        cache: Where trained production models are kept.
        respond: Answers questions in place of the production model, so that no torch is needed; then `production` is
            a folder that does not exist.
        progress: Called with lines of text.

    Returns:
        The world.

    Raises:
        ValueError: Unknown story.
    """
    chosen, say = stories.story(story), progress or (lambda line: None)
    folder.mkdir(parents=True, exist_ok=True)
    production = folder / "no-production-model"
    if respond is None:
        production = production_model.ensure(seed, cache, progress=say)
        respond = production_model.responder(production)
    facts = world_facts.yesterday(seed)
    changed = world_facts.change(facts, chosen.changed, seed, chosen.changed_attributes)
    random = Random(f"{seed}:misled")
    misled = {
        key: world_facts.other_value(key, value, random)
        for key, value in facts.items()
        if key[1] == chosen.misled_attribute
    }
    started = time.monotonic()
    log = feedback_log.write_log(chosen, facts, changed, misled, seed, respond)
    canaries = sorted({text for kind, text in log.planted if kind in ("card", "iban", "phone")})[:20]
    world = World(
        story=story,
        logs=_write(folder / "logs.jsonl", log.lines),
        replay=_write(folder / "replay.jsonl", map(_dialogue, golden.replay(facts, seed))),
        golden=_write(
            folder / "golden.jsonl",
            (i.model_dump_json().encode() for i in golden.items(chosen, facts, changed, canaries, seed)),
        ),
        traffic=_write(
            folder / "traffic.jsonl",
            (q.model_dump_json().encode() for q in traffic.user_questions(chosen, facts, changed, seed)),
        ),
        labels=_write(folder / "labels.jsonl", map(_json, labels.corrections(chosen.labels, seed))),
        production=production,
        truth=folder / "truth.json",
        parameters=dict(chosen.parameters),
    )
    truth = {
        "story": story,
        "seed": seed,
        "facts": _flat(facts),
        "changed": _flat(changed),
        "misled": _flat(misled),
        "log": log.truth,
        "planted": [list(pair) for pair in log.planted],
        "parameters": world.parameters,
        "description": asdict(chosen),
    }
    _write(world.truth, [json.dumps(truth, indent=1, sort_keys=True).encode()])
    say(f"small world: {len(log.lines)} log lines in {time.monotonic() - started:.1f} s")
    return world


def _flat(facts: world_facts.Facts) -> dict[str, str]:
    return {f"{entity}|{attribute}": value for (entity, attribute), value in facts.items()}


def _dialogue(pair: tuple[str, str]) -> bytes:
    return _json({"messages": [{"role": "user", "content": pair[0]}], "response": pair[1]})


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _write(path: Path, lines: Iterable[bytes]) -> Path:
    """Write lines to a temporary name, then rename."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        for line in lines:
            file.write(line + b"\n")
    temporary.replace(path)
    return path
