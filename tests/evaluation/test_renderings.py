import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from flywheel.components.contracts.verdict import Verdict
from flywheel.components.evaluation.scores.scores import ScoreLine, ScoresHeader, make_table
from flywheel.components.evaluation.verdict.forest_plot import forest_plot, forest_svg
from flywheel.components.evaluation.verdict.publish import publish
from flywheel.components.evaluation.verdict.recompute import recompute
from flywheel.components.evaluation.verdict.spec import read_spec
from flywheel.components.evaluation.verdict.summary_markdown import summary_markdown
from flywheel.components.evaluation.verdict.verdict import decide


@pytest.fixture
def verdicts(lines: Callable[..., list[ScoreLine]], header: Callable[..., ScoresHeader]) -> dict[str, Verdict]:
    small = lines(sizes={"changed": 12, "untouched": 20})
    whole = lines()
    return {
        "promote": decide(make_table(header(whole), whole, "d"), read_spec(), "run <b>1</b>"),
        "hold": decide(make_table(header(small), small, "d"), read_spec(), "run"),
        "empty": decide(make_table(header([]), [], "d"), read_spec(), "run"),
    }


def test_page_is_self_contained_and_well_formed(verdicts: dict[str, Verdict]) -> None:
    for verdict in verdicts.values():
        page = forest_plot(verdict)
        HTMLParser().feed(page)
        assert not re.search(r"(src|href)=|https?://|<script|@import|url\(", page)
        assert "<b>1</b>" not in page, "what comes from outside is escaped"
        svg = ET.fromstring(forest_svg(verdict.metrics))
        texts = " ".join(text for element in svg.iter() for text in element.itertext())
        assert all(metric.name in texts for metric in verdict.metrics)
        assert "nan" not in page.lower().replace("nance", "")


def test_rows_show_margin_interval_and_outcome(verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts["promote"]
    svg = ET.fromstring(forest_svg(verdict.metrics))
    assert len(list(svg.iter("circle"))) == len(verdict.metrics)
    margins = [e for e in svg.iter("line") if e.get("stroke") == "var(--inferior)"]
    assert len({e.get("x1") for e in margins}) == 1, "the margin stands at one place in all rows"
    for group in svg.iter("g"):
        line, circle = group.find("line"), group.find("circle")
        assert line is not None and circle is not None
        low, middle, high = (float(str(v)) for v in (line.get("x1"), circle.get("cx"), line.get("x2")))
        assert low <= middle <= high
        if "accuracy_untouched" in ET.tostring(group, encoding="unicode"):
            assert low > float(str(margins[0].get("x1"))), "shown no worse: the interval stays right of the margin"
    assert not list(ET.fromstring(forest_svg(verdicts["empty"].metrics)).iter("circle"))


def test_summary_holds_every_metric_and_the_promise(verdicts: dict[str, Verdict]) -> None:
    text = summary_markdown(verdicts["hold"])
    assert text.startswith("# Hold")
    assert f"**{verdicts['hold'].n_needed} further items**" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(verdicts["hold"].metrics)
    assert len({row.count("|") for row in rows}) == 1
    assert "– missing" in text and verdicts["hold"].error_rate in text


def test_publishing_twice_gives_the_same_bytes(scores: Path, tmp_path: Path) -> None:
    names = ("verdict.json", "plot.html", "summary.md")
    for folder in ("one", "two"):
        made = publish(scores, "", "run", *(tmp_path / folder / name for name in names))
    assert made == recompute(scores)
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert Verdict.read(tmp_path / "one" / "verdict.json") == made
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(names), "no temporary file stays"


def test_many_slices_stand_in_slim_rows_with_the_worrying_ones_first(
    lines: Callable[..., list[ScoreLine]], header: Callable[..., ScoresHeader]
) -> None:
    sliced = [
        {"name": name, "measure": "accuracy", "role": "slice", "direction": "higher", "suites": [suite],
         "margin": 0.2, "slice_by": "topic"}
        for name, suite in (("fine", "untouched"), ("thin", "unseen"))
    ]  # fmt: skip
    spec = read_spec()
    more = [type(spec.metrics[0]).model_validate(one) for one in sliced]
    made = [
        line.model_copy(update={"slices": {"topic": f"t{place % (20 if line.suite == 'unseen' else 4):02d}"}})
        for place, line in enumerate(lines())
    ]
    verdict = decide(
        make_table(header(made), made, "d"), spec.model_copy(update={"metrics": (*spec.metrics, *more)}), "r"
    )
    slices = [metric for metric in verdict.metrics if metric.role == "slice"]
    assert len(slices) == 24
    svg = ET.fromstring(forest_svg(verdict.metrics))
    assert len(list(svg.iter("circle"))) == len(verdict.metrics)
    texts = [" ".join(element.itertext()) for element in svg.iter("text")]
    assert texts.index("thin") < texts.index("fine"), "what is not settled comes first"
    assert "20 not settled" in texts and "4 shown no worse" in texts
    heights = sorted(float(str(circle.get("cy"))) for circle in svg.iter("circle"))
    assert min(later - sooner for sooner, later in pairwise(heights)) >= 20, "rows do not overlap"
    assert float(str(svg.get("viewBox")).split()[3]) > heights[-1]
