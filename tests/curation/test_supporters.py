"""Who gave a correction is found by its question and its normal form."""

from datetime import timedelta

from flywheel.components.curation.preferences.supporters import Supporters, key_of
from tests.curation.conftest import START


def test_the_first_of_a_users_equal_corrections_is_the_evidence():
    keys = [key_of(("", "q"), "a"), key_of(("q", ""), "a")]
    rows = [
        {"subject": "u1", "feedback_id": f"f{hour}", "timestamp": START + timedelta(hours=hour), "interaction_id": "i"}
        for hour in (3, 1, 2)
    ]
    with Supporters() as supporters:
        supporters.add([keys[0]] * 3, rows)
        supporters.add(keys[1:], [rows[0] | {"subject": "u2"}])
        supporters.finish()
        assert [supporters.of(key) for key in keys] == [{"u1": "f1"}, {"u2": "f3"}]
        assert supporters.of(key_of(("", "q"), "b")) == {}
