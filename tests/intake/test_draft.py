"""What a row's attributes say of where it came from."""

from hypothesis import example, given
from hypothesis import strategies as st

from flywheel.components.intake import draft
from flywheel.components.intake.json_text import text_of

name = st.one_of(st.text(max_size=3), st.sampled_from(["intake", "\ud800"]), st.integers(-1, 2))
value = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3), st.just("\udfff")
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=2), inner, max_size=2)),
    max_leaves=4,
)


@given(
    st.dictionaries(name, value, max_size=3),
    st.sampled_from(["log.jsonl", 'a "b".jsonl', "größer.jsonl", "half \ud800"]),
)
@example({"big": 2**70}, "log.jsonl")
@example({1: 2}, "log.jsonl")
@example({"intake": {"file": "theirs"}, "x": 1}, "log.jsonl")
@example({"intake": 1}, "half \ud800")
def test_the_origin_is_written_behind_the_attributes(attributes, file):
    intake = {"intake": {"file": file, "line": 3}}
    assert draft._with_origin(attributes, text_of(intake)) == text_of(attributes | intake)
