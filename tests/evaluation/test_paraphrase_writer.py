"""The local model as the writer of synthetic questions; here because the tiny models live here."""

import pytest

from flywheel.components.curation.synthetic import writers
from flywheel.components.curation.synthetic.paraphrases import read_questions


@pytest.mark.slow
def test_a_local_model_writes_the_same_again_and_is_believed_in_nothing(models):
    made = []
    for _ in range(2):
        writer = writers.writer("local", str(models["production"]), "", "", 0.8, 7)
        made.append(writer.write(["rewrite this question please", "and that"]))
    assert made[0] == made[1]
    assert all(isinstance(reply, str) for reply in made[0])
    assert [read_questions(reply) for reply in made[0]] == [None, None]  # a random model writes no JSON
    assert writer.name == "local:production"
    assert writer.write([]) == []


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=str(tmp_path)):
        writers.writer("local", str(tmp_path), "", "", 0.8, 7)
