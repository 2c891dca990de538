"""What a stage of the benchmark is: its data, its peers, how their results are scored, and the goals.

A stage is a module of this package, named in `run.STAGES`, with

    STAGE = Stage(name="duplicates", title="...", rows=50_000, prepare=..., quality=..., goals=(...))
    def peers() -> list[Peer]: ...

A peer's script is a file in `peers/` that imports its libraries at the top (not counted) and defines

    def run(data: Path, out: Path) -> dict[str, Any]   # counted; what it returns comes back as `Measured.result`
    def prepare(data: Path) -> None                    # optional, not counted: load models, compile; read no records

It runs in a process of its own, in a venv of its own when `requirements` are given, else in this project's Python;
so it imports nothing of `flywheel` unless it measures ours. `quality(data, out, result)` scores what it left in `out`
in the parent, with the same code for every peer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OURS = "ours"


@dataclass(frozen=True)
class Peer:
    """One way to do the stage's work.

    Attributes:
        name: As the table shows it; the product's own default way is named `OURS`.
        script: File name in `peers/`.
        requirements: What pip installs into the peer's own venv; empty: this project's Python.
        rows: Fewer (or more) rows than the stage's; None: the stage's. Speeds are compared per MB of input.
        settings: Environment variables of the process.
        versions: Distributions whose versions the table names; default: those of `requirements`.
    """

    name: str
    script: str
    requirements: tuple[str, ...] = ()
    rows: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """One peer: medians over the rounds.

    Attributes:
        cpu: CPU seconds of `run`, user and system, children included.
        process_cpu: CPU seconds of the whole process, with start and imports.
        wall: Wall seconds of `run`.
        peak: MiB, largest resident set of the process or one of its children.
        megabytes: Input, 10^6 bytes.
        rows: Records of the input.
        quality: What `Stage.quality` said.
        result: What `run` returned in the last round.
        versions: Version by distribution.
    """

    cpu: float
    process_cpu: float
    wall: float
    peak: float
    megabytes: float
    rows: int
    quality: Mapping[str, float]
    result: Mapping[str, Any]
    versions: Mapping[str, str]

    @property
    def speed(self) -> float:
        """MB of input per CPU second."""
        return self.megabytes / max(self.cpu, 1e-9)


Results = Mapping[str, Measured]


@dataclass(frozen=True)
class Goal:
    """A figure and its limit.

    Attributes:
        claim: What is promised, in words.
        figure: The figure from the results; None when a peer that it needs is missing.
        limit: The goal.
        at_least: Whether the figure must be at least the limit, else at most.
        unit: After the number: "x", "" or a word.
        least: A weaker limit below which the goal is missed by far; reported beside it.
    """

    claim: str
    figure: Callable[[Results], float | None]
    limit: float
    at_least: bool = True
    unit: str = "x"
    least: float | None = None

    def met(self, results: Results) -> bool | None:
        """Whether the goal is met; None when it could not be measured."""
        value = self.figure(results)
        if value is None:
            return None
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Stage:
    """One table.

    Attributes:
        name: As `--stage` names it.
        title: Heading of the table.
        rows: Records by default.
        prepare: Makes the data: (folder, rows) -> bytes of input. The folder is kept and used again, so the data must
            depend on the rows and fixed seeds only; `source` names the files whose change makes it anew.
        quality: (data folder, output folder, result) -> figures beside the speed.
        goals: Goals.
        about: Sentences under the heading: what the data is, what is counted.
        source: Files that the data depends on.
    """

    name: str
    title: str
    rows: int
    prepare: Callable[[Path, int], int]
    quality: Callable[[Path, Path, Mapping[str, Any]], dict[str, float]]
    goals: tuple[Goal, ...]
    about: str = ""
    source: tuple[Path, ...] = ()


def faster(peer: str, at_least: float, least: float | None = None, ours: str = OURS) -> Goal:
    """The goal of a speed, per MB and CPU second, against a peer's."""

    def figure(results: Results) -> float | None:
        return results[ours].speed / results[peer].speed if {ours, peer} <= results.keys() else None

    return Goal(f"{ours} against {peer}: speed", figure, at_least, least=least)


def at_least(key: str, limit: float, ours: str = OURS) -> Goal:
    """The goal of a quality figure of ours."""

    def figure(results: Results) -> float | None:
        return results[ours].quality.get(key) if ours in results else None

    return Goal(f"{ours}: {key}", figure, limit, unit="")


def no_worse(key: str, peer: str, ours: str = OURS) -> Goal:
    """The goal that a quality figure of ours is at least that of a peer, as their difference."""

    def figure(results: Results) -> float | None:
        if not {ours, peer} <= results.keys():
            return None
        return results[ours].quality[key] - results[peer].quality[key]

    return Goal(f"{ours} against {peer}: {key}, difference", figure, 0.0, unit="")
