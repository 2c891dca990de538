import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.curation.duplicates import outline

text = st.text(alphabet="abc é日 ", max_size=30)


def sets_of(one: str) -> set[str]:
    padded = f" {one} "
    return {padded[i : i + 3] for i in range(max(1, len(padded) - 2))}


@given(st.lists(st.tuples(text, text), min_size=2, max_size=6), st.sampled_from([0.5, 0.8, 1.0]))
@settings(max_examples=60, deadline=None)
def test_an_outline_never_rules_out_what_is_similar(documents, least):
    found = outline.of(documents)
    left, right = np.triu_indices(len(documents))
    differing, allowed = found.differing(left, right), found.allowed(left, right, least, 2)
    for row, (i, j) in enumerate(zip(left, right, strict=True)):
        for field in range(2):
            a, b = sets_of(documents[i][field]), sets_of(documents[j][field])
            assert found.shingles[i, field] == len(a)
            assert differing[row, field] <= len(a ^ b)
            if len(a & b) >= least * len(a | b) or len(a ^ b) <= 2:
                assert differing[row, field] <= allowed[row, field]


@pytest.mark.parametrize("field", [0, 1])
def test_an_outline_rules_out_texts_that_have_little_in_common(field):
    documents = [["the same words " * 3] * 2 for _ in range(2)]
    documents[0][field] = "a question about the warranty of a product"
    documents[1][field] = "how long will it take until my parcel comes"
    found = outline.of([tuple(one) for one in documents])
    one, other = np.array([0]), np.array([1])
    ruled_out = found.differing(one, other) > found.allowed(one, other, 0.8, 8)
    assert ruled_out[0].tolist() == [field == 0, field == 1]
