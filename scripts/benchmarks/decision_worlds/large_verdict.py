"""Time and memory of one large verdict: 10 metrics in 20 slices over 100 000 items, from the file to the decision.

Run as a process of its own (`python -m ...large_verdict SCORES SPEC`), so that memory is that of the verdict alone.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flywheel.components.evaluation.items import ids_digest
from flywheel.components.evaluation.scores.score_lines import ArmScore, ScoreLine, ScoresHeader, write_scores
from flywheel.scripts.benchmarks.decision_worlds.claims import Row

ITEMS, SLICES, METRICS = 100_000, 20, 10
SECONDS, MIB = 5.0, 1024.0

SPEC = """
schema: flywheel.gauntlet/v1
name: large
alpha: 0.05
power: 0.8
metrics:
  - {name: better, measure: accuracy, role: primary, direction: higher, suites: [changed], margin: 0, effect: 0.05}
  - {name: unseen, measure: accuracy, role: guardrail, direction: higher, suites: [unseen], margin: 0.02}
  - {name: untouched, measure: accuracy, role: guardrail, direction: higher, suites: [untouched], margin: 0.02}
  - {name: flips, measure: negative_flips, role: guardrail, direction: lower, suites: [untouched], margin: 0.05}
  - {name: unsafe, measure: unsafe, role: guardrail, direction: lower, suites: [safety], margin: 0.02}
  - {name: length, measure: length, role: guardrail, direction: lower, suites: [untouched], margin: 1.5}
  - {name: latency, measure: latency, role: guardrail, direction: lower, suites: [untouched], margin: 1.25}
  - {name: by_topic, measure: accuracy, role: slice, direction: higher, suites: [untouched], margin: 0.05,
     slice_by: topic}
  - {name: flips_by_topic, measure: negative_flips, role: slice, direction: lower, suites: [untouched], margin: 0.08,
     slice_by: topic}
  - {name: unsafe_by_topic, measure: unsafe, role: slice, direction: lower, suites: [untouched, unseen], margin: 0.05,
     slice_by: topic}
"""


def measure() -> tuple[float, float, float, str]:
    """Write the scores, judge them in a fresh process.

    Returns:
        CPU seconds and wall seconds from start of the process to decision, peak memory in MiB, and the decision.
    """
    with tempfile.TemporaryDirectory() as folder:
        scores, spec = Path(folder) / "scores.jsonl", Path(folder) / "gauntlet.yaml"
        spec.write_text(SPEC, encoding="utf-8")
        header = ScoresHeader(
            run_id="large", candidate_digest="c", production_digest="p", items=ITEMS,
            items_digest=ids_digest(sorted(_name(number) for number in range(ITEMS))),
        )  # fmt: skip
        write_scores(scores, header, _lines())
        began = time.monotonic()
        process = subprocess.run(
            [sys.executable, "-m", __name__, str(scores), str(spec)], capture_output=True, text=True, check=True
        )
        wall = time.monotonic() - began
    found = json.loads(process.stdout)
    return found["cpu"], wall, found["mib"], found["decision"]


def rows() -> Iterator[Row]:
    """Time and memory against their goals."""
    cpu, wall, mib, decision = measure()
    world = f"{METRICS} metrics, {SLICES} slices, {ITEMS:,} items, read from the file; decided: {decision}"
    yield Row("one large verdict, CPU seconds of a fresh process", world, cpu, 0, "at most", (SECONDS,), "s")
    yield Row("one large verdict, wall seconds", world, wall, 0, unit="s")
    yield Row("one large verdict, peak memory", world, mib, 0, "at most", (MIB,), "MiB")


def _name(number: int) -> str:
    return f"item-{number:06d}"


def _lines() -> Iterator[ScoreLine]:
    rng = np.random.default_rng(5)
    suites = ("untouched", "unseen", "changed", "safety")
    draws = rng.random((ITEMS, 4))
    tokens = rng.integers(8, 40, ITEMS)
    for number, (kind, lost, gained, slow) in enumerate(draws.tolist()):
        suite = suites[0] if kind < 0.7 else suites[1] if kind < 0.85 else suites[2] if kind < 0.95 else suites[3]
        right = lost >= 0.005 and suite != "changed", gained < (0.2 if suite == "changed" else 0.005)
        production = ArmScore(
            answer=f"answer {number % 977}", correct=right[0] or lost < 0.005, unsafe=False, tokens=int(tokens[number]),
            latency_ms=20 + 10 * slow if number % 10 == 0 else None,
        )  # fmt: skip
        candidate = production.model_copy(
            update={
                "answer": f"answer {number % 983}",
                "correct": right[0] or right[1],
                "tokens": int(tokens[number]) + 1,
            }
        )
        yield ScoreLine(
            item_id=_name(number),
            suite=suite,
            cluster=f"user-{number // 3}",
            slices={"topic": f"t{number % SLICES:02d}"},
            production=production,
            candidate=candidate,
        )


def main(arguments: list[str]) -> None:
    """Judge a file of scores and print what it took."""
    from flywheel.components.evaluation.scores.scores import read_scores
    from flywheel.components.evaluation.verdict.spec import read_spec
    from flywheel.components.evaluation.verdict.verdict import decide

    verdict = decide(read_scores(arguments[0]), read_spec(arguments[1]), "large")
    if len(verdict.metrics) != 7 + 3 * SLICES:
        raise ValueError(f"expected {7 + 3 * SLICES} results, got {len(verdict.metrics)}: {verdict.reasons}")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    spent = {
        "cpu": usage.ru_utime + usage.ru_stime,
        "mib": usage.ru_maxrss / 1024,
        "decision": str(verdict.decision.value),
    }
    print(json.dumps(spent))


if __name__ == "__main__":
    main(sys.argv[1:])
