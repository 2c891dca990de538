"""The examples of the room's README are read as the formats that they stand under."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flywheel.components.intake import ratings
from flywheel.components.intake.formats import registry
from flywheel.components.intake.ingest import ingest
from flywheel.components.store import delta_table

README = (Path(__file__).parents[2] / "components" / "intake" / "README.md").read_text()
NOW = datetime(2026, 11, 25, tzinfo=UTC)
# Section -> format, and the feedback that its example must give: (kind, annotator, value, text).
EXAMPLES = {
    "`flywheel.feedback/v1`": ("feedback", {("rating", "user", -1.0, None), ("correction", "user", None, "30 days.")}),
    "OpenTelemetry GenAI": ("otel", {("score", "code", 0.6, None), ("automated", "code", 1000.0, None)}),
    "OpenInference": ("openinference", {("rating", "user", -1.0, None), ("comment", "user", None, "outdated")}),
    "Langfuse": ("langfuse", {("rating", "user", -1.0, None), ("correction", "human", None, "30 days.")}),
    "TensorZero": ("tensorzero", {("correction", "user", None, "30 days.")}),
}


@pytest.mark.parametrize("title", EXAMPLES)
def test_example(tmp_path, title):
    name, wanted = EXAMPLES[title]
    section = README.split(f"### {title}", 1)[1].split("\n### ", 1)[0]
    text = re.search(r"```json\n(.*?)```", section, re.DOTALL).group(1)
    if name == "tensorzero":
        text = re.sub(r"019a\.\.\.-(\d\d)", r"019aa07d-f668-7000-8000-0000000000\1", text)
    (tmp_path / "example.json").write_text(text)
    summary = ingest(str(tmp_path / "example.json"), str(tmp_path / "s"), "run", now=NOW)
    summary.record("run")
    assert (set(summary.formats), summary.quarantined) == ({name}, {})
    feedback = delta_table.read(delta_table.latest(str(tmp_path / "s"), "feedback")).to_pylist()
    interactions = delta_table.read(delta_table.latest(str(tmp_path / "s"), "interactions")).to_pylist()
    assert {row["interaction_id"] for row in feedback} == {row["interaction_id"] for row in interactions}
    assert wanted <= {(row["kind"], row["annotator"], row["value"], row["text"]) for row in feedback}


def test_every_format_has_a_row_in_the_table():
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", README, re.MULTILINE))))
    assert set(registry.NAMES) - {"auto"} <= named


def test_the_example_of_a_rule_is_a_rule():
    rule = ratings.parse(re.search(r"rating_rule='(.*)'", README).group(1))
    assert set(rule.scales) == {"csat", "rating", "resolved"}
