"""The page: valid, self-contained, escaped, with all figures embedded."""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from flywheel.components.report.figures import figures
from flywheel.components.report.page import embedded, render
from flywheel.components.report.summary import markdown, terminal
from flywheel.components.store import lineage

VOID = {"meta", "link", "br", "img", "hr", "input"}
HOSTILE = "</script><script>alert(1)</script> {{ 7*7 }} & \u2028 ]]> \"'"


class Reader(HTMLParser):
    """Checks nesting and collects what a browser would load or run."""

    def __init__(self):
        super().__init__()
        self.open, self.loads, self.scripts, self.text, self.unclosed = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        named = dict(attrs)
        self.loads += [named[key] for key in ("src", "href", "action", "data") if key in named]
        assert not [key for key in named if key.startswith("on")]
        if tag == "script":
            self.scripts.append(named)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unclosed.append((tag, self.getpos()))

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.unclosed == []
    assert reader.open == []
    return reader


def embedded_in(page):
    return json.loads(
        re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL).group(1)
    )


@pytest.mark.parametrize("story", ["good", "harmful", "ambiguous", "hold", "contract", "crash"])
def test_page_is_whole_and_self_contained(turn, story):
    store, registry = turn(story)
    found = figures(store, registry, "assistant", story)
    page = render(found)
    reader = read(page)
    assert reader.loads == []
    assert reader.scripts == [{"type": "application/json", "id": "figures"}]
    assert "http" not in re.sub(r'<script type="application/json".*', "", page, flags=re.DOTALL)
    assert "url(" not in page.replace("url(#arrow)", "")
    assert "@import" not in page
    assert embedded_in(page) == found
    assert found["outcome"]["reason"][1:] in " ".join(reader.text)
    assert render(figures(store, registry, "assistant", story)) == page
    assert store not in page, "the page names a path of the machine"


def test_page_shows_the_borders_and_the_figures(turn):
    store, registry = turn("good")
    text = " ".join(" ".join(read(render(figures(store, registry, "assistant", "good"))).text).split())
    for words in ("3,120", "1.2 % → 93.4 %", "31 not json", "warranty, period, months", "shown better", "promoted: everybody",
                  "topics", "c4c4c4c4c4c4", "assistant v2", "Data contracts", "5,120 tokens a second"):  # fmt: skip
        assert words in text, words


def test_nothing_ran_is_said_plainly(tmp_path):
    page = render(figures(str(tmp_path / "none"), str(tmp_path / "none.db"), "assistant", "r"))
    read(page)
    assert "Nothing ran" in page
    assert "check_inputs" in page


def test_hostile_text_is_text(turn):
    store, registry = turn("good")

    def poison(value):
        if isinstance(value, str):
            return HOSTILE if value not in KEPT else value
        if isinstance(value, list):
            return [poison(one) for one in value]
        if isinstance(value, dict):
            return {key: poison(one) for key, one in value.items()}
        return value

    for record in lineage.steps(store, "good"):
        changed = record.model_copy(update={"details": poison(record.details)})
        later = {"finished_at": record.finished_at + timedelta(microseconds=9)}
        lineage.record_step(store, changed.model_copy(update=later))
    found = figures(store, registry, HOSTILE, "good")
    page = render(found)
    reader = read(page)
    assert len(reader.scripts) == 1
    assert "<script>alert" not in page
    assert "\u2028" not in page.split('id="figures"')[1]
    assert embedded_in(page) == found
    assert HOSTILE in found["curation"]["clusters"][0]["name"]
    assert "alert(1)" in " ".join(reader.text), "the text is shown, not dropped"
    assert "<script" not in markdown(found)


KEPT = {"difference", "ratio", "level", "primary", "guardrail", "slice", "higher", "lower", "superior", "non_inferior",
        "promote", "bad_feedback", "errors", "latency", "harm", "safe", "unclear", "advance", "hold", "production",
        "candidate", "candidates", "quiet", "alarm"}  # fmt: skip


def test_a_verdict_of_another_version_is_still_reported(turn):
    store, registry = turn("good")
    found = figures(store, registry, "assistant", "good")
    found["verdict"]["metrics"][0]["a_new_field"] = 1
    page = render(found)
    read(page)
    assert "shown_better" in page


def test_embedded_json_round_trips():
    value = {"a": HOSTILE, "b": [1.5, None, "\u2029"]}
    text = str(embedded(value))
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_zero_feedback_rows(turn):
    store, registry = turn("good", tables=False)
    page = render(figures(store, registry, "assistant", "good"))
    read(page)
    assert "How users took the answers" not in page


def test_summary_and_terminal_agree_with_the_figures(turn):
    store, registry = turn("harmful")
    found = figures(store, registry, "assistant", "harmful")
    text = markdown(found)
    assert text.startswith("# Rolled back")
    assert "| intake\\_feedback | 3,120 | 2,987 | 64 | 0 |" in text
    rows = dict(terminal(found))
    assert rows["Log records read"].startswith("3,120")
    assert rows["Corrections accepted"].startswith("562")
    assert rows["Drift"].startswith("alert")
