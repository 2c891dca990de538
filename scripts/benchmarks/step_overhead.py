"""What KFP's local runner adds to a step: a pipeline of empty steps, medians of wall and CPU time per step."""

import argparse
import logging
import resource
import statistics
import tempfile
import time

STEPS = 20
GOAL = 0.1  # seconds


def main(arguments: list[str]) -> int:
    """Time pipelines of empty steps.

    Args:
        arguments: `--rounds N`.

    Returns:
        0 when the goal holds, else 1.
    """
    from kfp import dsl, local

    parser = argparse.ArgumentParser(prog="scripts/bench step_overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)

    from flywheel.components import images

    @dsl.component(base_image=images.CONTROL, install_kfp_package=False)
    def pass_on(number: int) -> int:
        return number

    @dsl.pipeline(name="empty-steps")
    def empty_steps(number: int = 1) -> int:
        task = pass_on(number=number)
        for _ in range(STEPS - 1):
            task = pass_on(number=task.output)
        return task.output

    wall, cpu = [], []
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as root:
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=root, raise_on_error=True)
        for _ in range(options.rounds):
            began, spent = time.monotonic(), _children_cpu()
            empty_steps()
            wall.append((time.monotonic() - began) / STEPS)
            cpu.append((_children_cpu() - spent) / STEPS)
    print(
        f"empty step, median of {options.rounds} x {STEPS}: wall {statistics.median(wall):.3f} s, "
        f"CPU {statistics.median(cpu):.3f} s; worst round {max(wall):.3f} s"
    )
    kept = statistics.median(wall) <= GOAL
    print(f"goal: wall <= {GOAL} s: {'kept' if kept else 'MISSED'}")
    return 0 if kept else 1


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
