"""The bench of the decisions: goals are judged with their Monte-Carlo error, sections of the docs are replaced singly."""

import pkgutil
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flywheel.scripts import benchmarks
from flywheel.scripts.benchmarks import decisions
from flywheel.scripts.benchmarks.decision_worlds.claims import Row, markdown
from flywheel.scripts.command.app import app


def row(measured: float, goal: str = "at most", limits: tuple[float, ...] = (0.05,), worlds: int = 2000) -> Row:
    return Row("claim", "world", measured, worlds, goal, limits)  # type: ignore[arg-type]


def test_a_goal_is_met_within_two_monte_carlo_errors() -> None:
    assert row(0.05).met and row(0.058).met and not row(0.062).met
    assert row(0.79, "at least", (0.8,)).met and not row(0.75, "at least", (0.8,)).met
    assert row(0.925, "between", (0.93, 0.97)).met and not row(0.90, "between", (0.93, 0.97)).met
    assert not row(0.99, "between", (0.93, 0.97)).met
    assert row(0.5, "", ()).met is None
    assert row(0.05).standard_error == pytest.approx((0.05 * 0.95 / 2000) ** 0.5)
    assert row(0.0).standard_error > 0, "no event in 2000 worlds is not certainty"


def test_figures_without_simulation_have_no_slack() -> None:
    assert not Row("time", "world", 5.01, 0, "at most", (5.0,), "s").met
    assert Row("time", "world", 4.99, 0, "at most", (5.0,), "s").cells()[2:5] == ["4.99 s", "at most 5 s", "yes"]


def test_a_missed_goal_stands_out() -> None:
    assert row(0.2).cells()[4] == "**NO**"
    table = markdown(("a", "b"), [["1", "long"], ["22", "x"]]).splitlines()
    assert len({len(line) for line in table}) == 1 and table[1].startswith("|-")


def test_sections_are_replaced_one_by_one_and_stay_in_order(tmp_path: Path) -> None:
    file = tmp_path / "rates.md"
    titles = decisions.TITLES
    decisions.write(file, titles["judge"], "| old |")
    decisions.write(file, titles["margins"], "| margins |")
    decisions.write(file, titles["judge"], "| new |")
    text = file.read_text()
    assert text.startswith(decisions.PREFACE)
    assert text.index(titles["margins"]) < text.index(titles["judge"])
    assert "| new |" in text and "| old |" not in text and "| margins |" in text
    assert [path.name for path in tmp_path.iterdir()] == ["rates.md"]


def test_one_part_from_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "rates.md"
    arguments = ["bench", "decisions", "--", "--only", "judge", "--worlds", "60", "--output", str(file)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "PPI coverage" in result.output and "goals: all met" in result.output
    assert "PPI coverage of 95 % intervals" in file.read_text()


def test_few_worlds_do_not_get_into_the_docs() -> None:
    before = decisions.DOCS.read_bytes()
    assert decisions.main(["--only", "judge", "--worlds", "60"]) == 0
    assert decisions.DOCS.read_bytes() == before


@pytest.mark.parametrize("arguments", [["--worlds", "5"], ["--only", "nothing"]])
def test_bad_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        decisions.main(arguments)
    assert refused.value.code == 2


def test_every_listed_benchmark_can_run() -> None:
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.ispkg]
    assert "decisions" in names
    for name in names:
        assert callable(getattr(import_module(f"{benchmarks.__name__}.{name}"), "main", None)), name
    listed = CliRunner().invoke(app, ["bench"])
    assert all(name in listed.output for name in names) and "decision_worlds" not in listed.output


def test_the_docs_hold_every_part_and_no_missed_goal() -> None:
    text = decisions.DOCS.read_text(encoding="utf-8")
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(decisions.TITLES.values())
    assert "**NO**" not in text
