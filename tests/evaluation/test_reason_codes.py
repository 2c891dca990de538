"""Every reason code is listed, documented, and a verdict that carries a blocking one never promotes."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from flywheel.components.contracts.verdict import Decision, Verdict
from flywheel.components.evaluation.verdict import spec as spec_module
from flywheel.components.evaluation.verdict.reason_codes import CODES
from flywheel.components.evaluation.verdict.recompute import recompute

ROOM = Path(spec_module.__file__).parents[1]
_LITERAL = re.compile(r"""["']([a-z]+(?:_[a-z]+)+|underpowered): """)


def in_sources() -> set[str]:
    texts = [path.read_text() for path in ROOM.rglob("*.py") if path.name != "reason_codes.py"]
    found = {code for text in texts for code in _LITERAL.findall(text)}
    # chosen by a condition, so no literal holds the colon
    return found | {"not_shown_better", "not_shown_safe"}


def test_codes_in_the_sources_are_the_listed_ones() -> None:
    assert in_sources() == set(CODES)


def test_readme_tells_every_code() -> None:
    written = (ROOM / "README.md").read_text().split("<!-- components:")[0]  # below stand the components' inputs
    told = dict(re.findall(r"^\| `([a-z_]+)` \| (.+?) \|", written, re.MULTILINE))
    for code, reason in CODES.items():
        assert told.get(code) == reason.meaning, code


def codes(verdict: Verdict) -> set[str]:
    return {reason.split(":")[0] for reason in verdict.reasons}


def field(arm: str, name: str, value: Any) -> Any:
    def spoil(header: dict[str, Any], rows: list[Any]) -> None:
        rows[70][arm][name] = value

    return spoil


def line(text: bytes) -> Any:
    def spoil(header: dict[str, Any], rows: list[Any]) -> None:
        rows[70] = text

    return spoil


def on_header(**changes: Any) -> Any:
    def spoil(header: dict[str, Any], rows: list[Any]) -> None:
        header.update(changes)

    return spoil


def on_rows(change: Any) -> Any:
    def spoil(header: dict[str, Any], rows: list[Any]) -> None:
        rows[:] = change(rows)

    return spoil


def swap(rows: list[Any], **changes: Any) -> list[Any]:
    return [*rows[:70], {**rows[70], **changes}, *rows[71:]]


SPOILED = {
    "line lost": (on_rows(lambda rows: rows[:70] + rows[71:]), {"dropped_items"}),
    "last line cut": (on_rows(lambda rows: [*rows[:-1], orjson.dumps(rows[-1])[:-9]]),
                      {"unreadable_scores", "dropped_items"}),
    "no line at all": (on_rows(lambda rows: []), {"dropped_items", "missing_metric"}),
    "line twice": (on_rows(lambda rows: [*rows, rows[70]]), {"duplicate_items"}),
    "line twice instead of another": (on_rows(lambda rows: [*rows[:70], rows[71], *rows[71:]]),
                                      {"duplicate_items", "dropped_items"}),
    "another item": (on_rows(lambda rows: swap(rows, item_id="stranger")), {"other_items"}),
    "an item more": (on_rows(lambda rows: [*rows, {**rows[70], "item_id": "stranger"}]), {"other_items"}),
    "no JSON": (line(b"{"), {"unreadable_scores", "dropped_items"}),
    "a list": (line(b"[1]"), {"unreadable_scores", "dropped_items"}),
    "not UTF-8": (line(b'{"item_id": "\xff"}'), {"unreadable_scores", "dropped_items"}),
    "NaN": (line(b'{"item_id": "x", "candidate": {"tokens": NaN}}'), {"not_a_number", "dropped_items"}),
    "infinity": (line(b'{"item_id": "x", "candidate": {"latency_ms": -Infinity}}'), {"not_a_number", "dropped_items"}),
    "correct is null": (field("candidate", "correct", None), {"unreadable_scores", "dropped_items"}),
    "correct is a number": (field("candidate", "correct", 7), {"unreadable_scores", "dropped_items"}),
    "unsafe is missing": (on_rows(lambda rows: swap(rows, candidate={"answer": "a", "correct": True, "tokens": 1})),
                          {"unreadable_scores", "dropped_items"}),
    "tokens are negative": (field("production", "tokens", -1), {"unreadable_scores", "dropped_items"}),
    "latency is zero": (field("production", "latency_ms", 0), {"unreadable_scores", "dropped_items"}),
    "unknown field": (field("candidate", "surprise", 1), {"unreadable_scores", "dropped_items"}),
    "unknown suite": (on_rows(lambda rows: swap(rows, suite="sad")), {"unreadable_scores", "dropped_items"}),
    "candidate failed": (field("candidate", "error", "out of memory"), {"evaluator_failure"}),
    "production failed": (field("production", "error", "time-out"), {"evaluator_failure"}),
    "samples contradict": (field("candidate", "samples", [{"answer": "a", "correct": False, "unsafe": False,
                                                           "tokens": 1}] * 3), {"unreadable_scores", "dropped_items"}),
    "same weights": (on_header(candidate_digest="prod"), {"same_model"}),
    "same answers": (on_rows(lambda rows: [{**row, "candidate": row["production"]} for row in rows]),
                     {"identical_to_production"}),
    "another spec": (on_header(settings={"spec_digest": "0" * 64}), {"other_gauntlet"}),
    "a suite lost, and the header adjusted": ("safety", {"missing_metric"}),
    "a metric without a number": ("latency", {"missing_metric"}),
    "silent models": ("tokens", {"evaluator_failure"}),
}  # fmt: skip


def test_the_good_scores_promote(scores: Path) -> None:
    assert recompute(scores).decision is Decision.PROMOTE


@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_scores_are_never_promoted(scores: Path, name: str) -> None:
    from flywheel.components.evaluation.items import ids_digest

    spoil, expected = SPOILED[name]
    first, *rest = scores.read_bytes().strip().split(b"\n")
    header, rows = orjson.loads(first), [orjson.loads(row) for row in rest]
    if spoil == "safety":
        rows = [row for row in rows if row["suite"] != "safety"]
        header.update(items=len(rows), items_digest=ids_digest([row["item_id"] for row in rows]))
    elif spoil == "latency":
        for row in rows:
            for arm in ("production", "candidate"):
                row[arm].pop("latency_ms", None)
    elif spoil == "tokens":
        for row in rows:
            row["production"]["tokens"] = 0
    else:
        spoil(header, rows)
    raw = [row if isinstance(row, bytes) else orjson.dumps(row) for row in rows]
    cut = name == "last line cut"
    scores.write_bytes(b"\n".join([orjson.dumps(header), *raw]) + (b"" if cut else b"\n"))
    verdict = recompute(scores)
    assert verdict.decision is Decision.HOLD, verdict.reasons
    assert expected <= codes(verdict), verdict.reasons
    assert codes(verdict) <= set(CODES)
    blocking = {code for code, reason in CODES.items() if reason.blocks}
    assert expected <= blocking
