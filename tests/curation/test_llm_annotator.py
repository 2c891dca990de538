"""A language model among the voters: weighed by people's labels, never believed as it is."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pyarrow.parquet as pq
import pytest

from flywheel.components.curation.categories import category_classifier as cc
from flywheel.components.curation.categories.llm_annotator import LlmAnnotator, vote_weights
from flywheel.components.curation.stages.classify import AnnotatorPlace, classify
from flywheel.components.curation.stages.deduplicate import deduplicate
from flywheel.components.curation.stages.route import route
from flywheel.components.evaluation.chat_endpoint import ChatEndpoint

WORDS = ("factual", "tone", "clarity")


@pytest.fixture
def endpoint():
    """A chat endpoint on loopback; the test says what it answers to each text, or a status."""
    answers = {"to": lambda text: "factual"}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            said = answers["to"](body["messages"][-1]["content"])
            status = said if isinstance(said, int) else 200
            reply = {"error": {"message": "no"}} if status != 200 else {"choices": [{"message": {"content": said}}]}
            data = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", answers
    server.shutdown()
    server.server_close()


def test_replies_are_read_strictly_and_failures_counted(endpoint):
    url, answers = endpoint
    told = {"q0": "It is about facts.\nfactual", "q1": "**Tone**", "q2": "tone or clarity", "q3": "no idea", "q4": 400}
    answers["to"] = lambda text: next(said for name, said in told.items() if f"\n{name}\n" in text)
    voter = LlmAnnotator(ChatEndpoint(url, "m", retries=0), workers=1)
    edits = [{"prompt": name, "response": "a", "correction": "b"} for name in told]
    assert voter.annotate(edits) == [0, 1, None, None, None]
    assert voter.failures == {"unreadable": 2, "rejected": 1}


class Voter:
    """Votes as a function of the true category that only the test knows."""

    def __init__(self, truth, vote):
        self.truth, self.vote, self.dice = truth, vote, np.random.default_rng(4)

    def annotate(self, edits):
        return [self.vote(self.truth[edit["correction"], edit["response"]], self.dice) for edit in edits]


@pytest.fixture(scope="module")
def world():
    rows = cc.seed_labels()
    learn, new = [row for i, row in enumerate(rows) if i % 3], rows[::3]
    truth = {(row["correction"], row["response"]): WORDS.index(row["category"]) for row in rows}
    plain = cc.train(seed=learn)[0]
    return learn, new, truth, accuracy(plain, new)


def accuracy(model, rows):
    categories, _ = model.predict(rows)
    return float(np.mean([category == row["category"] for category, row in zip(categories, rows, strict=True)]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("vote", "gain"),
    [
        (lambda true, dice: true, 0.02),  # knows
        (lambda true, dice: (true + 1) % 3, 0.02),  # mixes all of them up, always alike: as telling
        (lambda true, dice: int(dice.integers(3)), -0.02),  # guesses: must do no harm
        (lambda true, dice: 0, -0.02),  # always says the same
    ],
)  # fmt: skip
def test_a_vote_weighs_what_the_labels_bear_out(world, vote, gain):
    learn, new, truth, alone = world
    model, quality = cc.train(seed=learn, annotator=Voter(truth, vote))
    assert accuracy(model, new) >= alone + gain
    assert quality.annotator_answers == 400 and len(quality.scores) == 400
    assert quality.error_after <= 0.06


def test_vote_weights_are_log_chances():
    weights = vote_weights(np.array([0, 0, 1, 2]), np.array([0, 0, 0, 2]))
    assert np.allclose(np.exp(weights).sum(axis=1), 1)
    assert weights[0, 0] > weights[0, 1] > weights[0, 2] and np.allclose(np.exp(weights[1]), 1 / 3)


@pytest.fixture
def kept(log, tmp_path):
    for number in range(6):
        asked, old = (
            f"How long is the warranty of the Borel {number}?",
            f"The Borel {number} has 24 months of warranty.",
        )
        log.correct(f"u{number}", asked, old, old.replace("24", "36"), hours=number)
    _, feedback = log.save(tmp_path)
    deduplicate(feedback, str(tmp_path / "k"), "r1")
    return tmp_path


@pytest.mark.slow
def test_what_the_endpoint_fails_on_goes_to_review_with_a_reason(kept, endpoint):
    url, answers = endpoint
    answers["to"] = lambda text: 400 if "Borel 2?" in text else "factual"
    record = classify(str(kept / "k"), str(kept / "c"), "r1", annotator=AnnotatorPlace(url, "m"))
    assert record.metrics["annotator_failures"] == 1 and record.details["annotator"]["failures"] == {"rejected": 1}
    routed = route(str(kept / "c"), str(kept / "r"), "r1")
    rows = {row["interaction_id"]: row for row in pq.read_table(kept / "r").to_pylist()}
    assert (rows["i00002"]["route"], rows["i00002"]["reason"]) == ("review", "annotator_failed")
    assert routed.details["reasons"]["annotator_failed"] == 1


def test_an_endpoint_that_is_down_accepts_nothing(kept, endpoint):
    url, answers = endpoint
    answers["to"] = lambda text: 401
    record = classify(str(kept / "k"), str(kept / "c"), "r1", annotator=AnnotatorPlace(url, "m"))
    assert record.details["annotator"]["failures"]["unauthorized"] > 0
    assert record.details["calibration"]["annotator_answers"] == 0
    routed = route(str(kept / "c"), str(kept / "r"), "r1")
    assert routed.details["routes"]["accept"] == 0 and routed.details["reasons"] == {"annotator_failed": 6}


def test_the_encoder_is_checked_before_any_work(kept):
    with pytest.raises(ValueError, match="encoder 'bert' is none of"):
        classify(str(kept / "k"), str(kept / "c"), "r1", encoder="bert")


@pytest.mark.slow
def test_sentence_embeddings_stand_beside_the_edit_features():
    rows = cc.seed_labels()[::4]
    plain, (model, quality) = cc.train(seed=rows)[1], cc.train(seed=rows, encoder="minilm")
    assert quality.encoder == "minilm" and quality.accuracy >= plain.accuracy - 0.03
    assert model.predict(rows[:1])[0] == [rows[0]["category"]]
