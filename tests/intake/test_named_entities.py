"""Recognizers of an extra see every text after the patterns; what is not installed is refused with words."""

import re
import sys
from collections.abc import Iterator

import pytest

from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.privacy import named_entities
from flywheel.components.intake.privacy.scrub import scrub_texts
from flywheel.components.intake.privacy.spans import Span

SEEN: list[str] = []


def ada(text: str) -> Iterator[Span]:
    """A recognizer as a user would write it: one text, spans of it."""
    SEEN.append(text)
    for match in re.finditer(r"\bAda\b|\bAda Lovelace\b", text):
        yield Span(*match.span(), "NAME")


@pytest.fixture
def own(monkeypatch):
    SEEN.clear()
    monkeypatch.setenv(named_entities.VARIABLE, f"python:{__name__}:ada")
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or __import__(__name__))
    named_entities.named.cache_clear()


def test_a_name_in_the_middle_of_a_sentence(own):
    texts = ["yesterday Ada wrote to x@y.org", "nothing", "", "naïve Ada, again Ada"]
    assert scrub_texts(texts).texts == [
        "yesterday [NAME_1] wrote to [EMAIL_1]",
        "nothing",
        "",
        "naïve [NAME_1], again [NAME_1]",
    ]
    assert "x@y.org" not in " ".join(SEEN)  # what the patterns found is covered
    assert all("\x1e" not in text for text in SEEN)  # one text at a time


def test_without_the_variable_nothing_is_added(monkeypatch):
    monkeypatch.delenv(named_entities.VARIABLE, raising=False)
    assert named_entities.configured() == ()
    assert scrub_texts(["yesterday Ada wrote"]).texts == ["yesterday Ada wrote"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("presidoi", "none of presidio, presidio:MODEL"),
        ("spacy", "none of presidio"),
        ("python:no_such_module:x", "cannot import x from no_such_module"),
        ("python:json:no_such_object", "cannot import no_such_object from json"),
    ],
)
def test_what_cannot_be_used_is_refused(name, message, monkeypatch):
    monkeypatch.setenv(named_entities.VARIABLE, name)
    with pytest.raises(IntakeError, match=message):
        scrub_texts(["a text"])


@pytest.mark.parametrize("name", ["presidio", "spacy:en_core_web_sm"])
def test_an_extra_that_is_not_installed_is_named(name, monkeypatch):
    for module in ("presidio_analyzer", "spacy"):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    named_entities.named.cache_clear()
    monkeypatch.setenv(named_entities.VARIABLE, name)
    with pytest.raises(IntakeError, match=r"not installed; it comes with the extra `ner`: pip install"):
        scrub_texts(["a text"])


def test_presidio_behind_the_interface():
    pytest.importorskip("presidio_analyzer")
    (recognize,) = named_entities.named("presidio")
    joined = "\x1ewrite to ann@example.org\x1enothing here\x1ecard 4111111111111111\x1e"
    assert [(joined[span.start : span.end], span.kind) for span in recognize(joined)] == [
        ("ann@example.org", "EMAIL"),
        ("4111111111111111", "CARD"),
    ]
    assert scrub_texts(["write to ann@example.org"], extra=[recognize]).texts == ["write to [EMAIL_1]"]
