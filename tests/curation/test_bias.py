import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.components.contracts.tables import FeedbackSnapshot
from flywheel.components.curation.bias import bias_page, check, groups, slice_search
from flywheel.components.curation.bias.acceptance import by_group
from flywheel.components.curation.bias.rate_difference import Rate, compare, rate_of
from flywheel.components.curation.stages import files


def routed(number: int, route: str = "accept", **more):
    user = more.pop("user", f"u{number % 60}")
    return {
        "interaction_id": f"i{number}",
        "subject": user,
        "supporters": [user],
        "supporter_activity": [3],
        "correction": "It is 36 months",
        "category": "factual",
        "language": "en",
        "source": "shop",
        "model_version": "1",
        "route": route,
        "reason": "" if route == "accept" else "low_confidence",
    } | more


def test_newcombe_as_published():
    """Newcombe (1998), table II, method 10: 56/70 against 48/80 gives 0.0524 to 0.3339."""
    first, second = Rate(56 / 70, 70, 70, 70, 1e9), Rate(48 / 80, 80, 80, 80, 1e9)
    found = compare(first, second)
    assert (found.interval.lower, found.interval.upper) == pytest.approx((0.0524, 0.3339), abs=5e-4)


def test_wilson_as_published():
    """Newcombe (1998), Stat. Med. 17:857, table I, method 3: 81/263 gives 0.2553 to 0.3662."""
    limits = Rate(81 / 263, 263, 263, 263, 1e9).interval()
    assert (limits.lower, limits.upper) == pytest.approx((0.2553, 0.3662), abs=5e-4)


@given(st.integers(2, 60), st.integers(2, 60), st.floats(0, 1), st.floats(0, 1))
def test_the_p_value_agrees_with_the_interval(n, m, first, second):
    a, b = Rate(first, n, n, n, n), Rate(second, m, m, m, m)
    found = compare(a, b)
    outside = not found.interval.contains(0.0)
    if abs(found.p - 0.05) > 1e-3:
        assert outside == (found.p < 0.05)
    assert compare(b, a).p == pytest.approx(found.p, abs=1e-6)


def test_rows_of_one_user_are_not_many_users():
    codes = np.repeat(np.arange(20), 10)
    clustered = rate_of(np.repeat(np.arange(20) % 2, 10).astype(float), codes)
    assert clustered.effective == pytest.approx(20, rel=0.2)
    apart = rate_of((np.arange(200) % 2).astype(float), np.arange(200))
    assert apart.effective == pytest.approx(200, rel=0.02)


def test_a_group_that_is_held_back_is_named():
    rows = [routed(i, "accept" if i % 10 else "review") for i in range(300)]
    rows += [routed(300 + i, "review" if i % 2 else "accept", language="de", user=f"d{i % 40}") for i in range(120)]
    report = check.judge(rows, ("language", "source"))
    assert report.verdict == "look"
    named = {(group.column, group.group) for group in report.accepted if group.differs}
    assert named == {("language", "en")}  # two groups are one comparison: the larger against the smaller
    page = bias_page.render(report)
    assert "| language | de |" in page
    assert "**look**" in page


def test_equal_groups_are_ok_and_small_ones_are_not_tested():
    rows = [routed(i, "accept" if i % 5 else "review", language=("en", "de", "fr")[i % 3]) for i in range(400)]
    rows += [routed(900 + i, "review", language="fi", user="f") for i in range(30)]
    report = check.judge(rows, ("language",))
    assert report.verdict == "ok"
    finnish = next(group for group in report.accepted if group.group == "fi")
    assert finnish.difference is None
    assert not finnish.differs
    assert "too few to test" in bias_page.render(report)


def test_a_planted_slice_is_found_and_not_its_parts():
    rng = np.random.default_rng(3)
    rows = []
    for number in range(1500):
        language, source = ("en", "de")[rng.integers(2)], ("web", "app", "mail")[rng.integers(3)]
        category = ("factual", "tone")[rng.integers(2)]
        planted = language == "de" and source == "mail"
        held = rng.random() < (0.75 if planted else 0.1)
        rows.append(
            routed(number, "review" if held else "accept", language=language, source=source, category=category,
                   user=f"u{rng.integers(300)}")
        )  # fmt: skip
    columns = ("language", "source", "category")
    found, tested = slice_search.worst_slices(
        [row["route"] != "accept" for row in rows], [row["subject"] for row in rows],
        groups.groups_of(rows, columns), alpha=0.05, tolerance=0.1,
    )  # fmt: skip
    assert tested >= 1
    assert found[0].conditions == (("language", "de"), ("source", "mail"))
    assert found[0].rate.rate > 0.6
    assert all(set(found[0].conditions) - set(other.conditions) for other in found[1:])


def test_the_search_prunes_nothing_that_it_should_return():
    """Against every slice of two or three conditions, scored one by one."""
    rng = np.random.default_rng(11)
    labels = {name: rng.choice(list("abc"), 600) for name in ("x", "y", "z")}
    values = (rng.random(600) < 0.1 + 0.5 * ((labels["x"] == "a") & (labels["z"] == "b"))).astype(float)
    found = slice_search._search(values, labels, 3, 0.02)
    best, score = None, 0.0
    for x in ("", *"abc"):
        for y in ("", *"abc"):
            for z in ("", *"abc"):
                named = tuple((n, v) for n, v in zip("xyz", (x, y, z), strict=True) if v)
                mask = np.logical_and.reduce([labels[n] == v for n, v in named] or [np.ones(600, bool)])
                if len(named) >= 2 and mask.sum() >= 20:
                    mine = slice_search._score(int(mask.sum()), float(values[mask].sum()), 600, float(values.mean()))
                    best, score = (named, mine) if mine > score else (best, score)
    assert found[0] == best


@pytest.mark.parametrize(
    ("given", "words"), [("colour", "no groups by 'colour'"), ("length,length", "twice"), ("attributes.", "no groups")]
)
def test_bad_columns_are_named(given, words):
    with pytest.raises(ValueError, match=words):
        groups.columns_of(given)


def test_columns():
    row = routed(1, attributes='{"country": "AT", "vip": true, "deep": {"a": 1}}', supporter_activity=[30])
    found = groups.groups_of([row], ["subject_activity", "length", "attributes.country", "attributes.vip",
                                     "attributes.deep", "attributes.none", "model_version"])  # fmt: skip
    assert [value for (value,) in found.values()] == [
        "21 interactions or more", "up to 4 words", "AT", "True", "unknown", "unknown", "1"
    ]  # fmt: skip
    assert groups.columns_of("") == groups.DEFAULT
    assert groups.columns_of(" language , attributes.country ") == ("language", "attributes.country")


def test_nothing_and_bad_parameters():
    assert check.judge([], groups.DEFAULT).verdict == "ok"
    assert "Bias check" in bias_page.render(check.judge([], groups.DEFAULT))
    assert by_group([], [], {"language": []}, 0.05, 0.1) == []
    with pytest.raises(ValueError, match="alpha"):
        check.judge([], groups.DEFAULT, alpha=0)
    with pytest.raises(ValueError, match="levels"):
        slice_search.worst_slices([], [], {}, 0.05, 0.1, levels=4)


def test_the_page_escapes_group_names():
    rows = [routed(i, source="<b>|x") for i in range(30)]
    page = bias_page.render(check.judge(rows, ("source",)))
    assert "<b>" not in page
    assert "&lt;b&gt;\\|x" in page


def test_the_stage_joins_interactions_and_leaves_a_record(log, tmp_path):
    for number in range(40):
        log.ask(f"u{number}", "How long?", "24")
    _, feedback = log.save(tmp_path)
    rows = [
        routed(i, "accept" if i % 4 else "discard", user=f"u{i}") | {"interaction_id": f"i{i:05d}"} for i in range(40)
    ]
    for row in rows:
        del row["model_version"]
    notes = {"snapshot": FeedbackSnapshot.read(feedback).model_dump(mode="json"), "median_activity": 1.0}
    files.write(pa.Table.from_pylist(rows), str(tmp_path / "routed"), notes)
    record = check.check(str(tmp_path / "routed"), str(tmp_path / "page"), "r1")
    assert record.step == "check_bias"
    assert record.outcome == "ok"
    assert record.rows.accepted == 30
    assert record.rows.quarantined == {"low_confidence": 10}
    assert "Who is represented" in (tmp_path / "page").read_text()
    assert {one["column"] for one in record.details["represented"]} == {"language", "source", "model_version"}
    files.write(pa.table({"a": [1]}), str(tmp_path / "other"), notes)
    with pytest.raises(ValueError, match="no routes"):
        check.check(str(tmp_path / "other"), str(tmp_path / "page"), "r1")
