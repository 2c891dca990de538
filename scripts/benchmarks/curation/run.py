"""Runs the stages: data once, then every peer in turn, round after round."""

import argparse
import hashlib
import importlib
import os
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from flywheel.scripts.benchmarks.curation import table
from flywheel.scripts.benchmarks.curation.frame import Measured, Peer, Stage
from flywheel.scripts.benchmarks.curation.peer_venv import MissingPeerError, cache, python_of
from flywheel.scripts.benchmarks.curation.process import Once, measure

STAGES = ("pii", "duplicates", "store", "chain", "scale", "poison", "router")  # modules of this package


def main(arguments: list[str]) -> int:
    """Measure the stages; see the package's `main`.

    Args:
        arguments: Command line.

    Returns:
        0 when no measured goal is missed, else 1.
    """
    parser = argparse.ArgumentParser(prog="scripts/bench curation", description=__doc__)
    parser.add_argument("--stage", action="append", choices=STAGES, help="measure this stage; repeatable; default: all")
    parser.add_argument("--rows", type=int, help="records; default: the stage's own number")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", default=[], help="measure this peer; repeatable; default: all")
    parser.add_argument("--output", type=Path, help="Markdown file; default: the docs when all is measured as designed")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or (options.rows is not None and options.rows < 100):
        parser.error("--rounds must be at least 1 and --rows at least 100")
    names = options.stage or _present()
    modules = [importlib.import_module(f"{__package__}.{name}") for name in names]
    known = {peer.name for module in modules for peer in module.peers()}
    if unknown := set(options.only) - known:
        parser.error(f"there is no peer {', '.join(sorted(unknown))}; the peers are {', '.join(sorted(known))}")
    designed = options.rows is None and not options.only and options.rounds >= 3
    output = options.output or (table.DOCS if designed else None)
    missed = 0
    for module in modules:
        stage: Stage = module.STAGE
        results, missing = results_of(module, options.rows or stage.rows, options.rounds, options.only)
        text = table.section(stage, results, missing, options.rounds)
        missed += sum(goal.met(results) is False for goal in stage.goals)
        print(f"\n## {stage.title}\n\n{text}", flush=True)
        if output:
            titles = [importlib.import_module(f"{__package__}.{one}").STAGE.title for one in _present()]
            table.write(output, titles, stage.title, text)
    print(f"\nwritten: {output}" if output else "\nnot written: the docs take three rounds of all peers on all rows")
    print(f"goals: {f'{missed} MISSED' if missed else 'none missed'}")
    return 1 if missed else 0


def results_of(
    module: ModuleType, rows: int, rounds: int, only: Sequence[str] = ()
) -> tuple[dict[str, Measured], dict[str, str]]:
    """Measure a stage.

    Args:
        module: The stage's module.
        rows: Records.
        rounds: Rounds.
        only: Names of the peers to measure; empty: all.

    Returns:
        Measured peers by name, in the module's order, and why others are missing.
    """
    stage: Stage = module.STAGE
    peers: list[Peer] = [peer for peer in module.peers() if not only or peer.name in only]
    missing, pythons = {}, {}
    for peer in peers:
        try:
            pythons[peer.name] = python_of(peer.requirements)
        except MissingPeerError as error:
            missing[peer.name] = str(error)
    peers = [peer for peer in peers if peer.name in pythons]
    inputs = {count: data_of(stage, count) for count in {peer.rows or rows for peer in peers}}
    runs: dict[str, list[Once]] = {peer.name: [] for peer in peers}
    quality: dict[str, dict[str, float]] = {}
    for number in range(rounds):
        turn = number % max(len(peers), 1)
        for peer in peers[turn:] + peers[:turn]:
            data, _ = inputs[peer.rows or rows]
            with tempfile.TemporaryDirectory(prefix="flywheel-bench-") as folder:
                if peer.name in missing:
                    continue
                try:
                    once = measure(peer, pythons[peer.name], data, Path(folder))
                except RuntimeError as error:  # the other peers' figures are still worth having
                    missing[peer.name] = str(error)
                    continue
                runs[peer.name].append(once)
                if peer.name not in quality:
                    quality[peer.name] = stage.quality(data, Path(folder), once.result)
            print(f"  round {number + 1}: {peer.name}: {once.cpu:.2f} CPU s, {once.wall:.2f} s wall", flush=True)
    found = {}
    for peer in (one for one in peers if one.name not in missing):
        count = peer.rows or rows
        medians = {
            key: statistics.median(getattr(one, key) for one in runs[peer.name])
            for key in ("cpu", "process_cpu", "wall", "peak")
        }
        last = runs[peer.name][-1]
        found[peer.name] = Measured(
            **medians,
            megabytes=inputs[count][1] / 1e6,
            rows=count,
            quality=quality[peer.name],
            result=last.result,
            versions=last.versions,
        )
    return found, missing


def data_of(stage: Stage, rows: int) -> tuple[Path, int]:
    """The stage's data with so many rows, made once and kept in the cache.

    Args:
        stage: Stage.
        rows: Records.

    Returns:
        Folder, and bytes of input.
    """
    sources = sorted({Path(__file__).with_name("feedback_records.py"), *stage.source})
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    folder = cache() / "data" / f"{stage.name}-{rows}-{digest}"
    size = folder / "bytes.txt"
    if not size.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=folder.parent, prefix="making-"))
        (making / "bytes.txt").write_text(str(stage.prepare(making, rows)), encoding="utf-8")
        os.rename(making, folder)
    return folder, int(size.read_text(encoding="utf-8"))


def _present() -> list[str]:
    return [name for name in STAGES if Path(__file__).with_name(f"{name}.py").is_file()]
