"""The attacking model behind a real HTTP server on loopback."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.evaluation.attack.llm_attacker import LlmAttacker, attacker_at, question_in
from flywheel.components.evaluation.attack.mutations import Messages
from flywheel.components.evaluation.attack.run import choose_seeds, material_of
from flywheel.components.evaluation.attack.search import Campaign
from flywheel.components.evaluation.attack.success import SuccessJudge
from flywheel.components.evaluation.attack.transfer import broken
from flywheel.components.evaluation.chat_endpoint import ChatEndpoint, EndpointError

Reply = Callable[[dict[str, Any]], tuple[int, str]]


class Server:
    """An OpenAI-compatible endpoint that answers by a rule and keeps what it was asked."""

    def __init__(self, reply: Reply) -> None:
        asked: list[dict[str, Any]] = []
        self.asked = asked

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked.append(body)
                status, text = reply(body)
                made = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
                sent = json.dumps(made if status == 200 else {"error": {"message": text}}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[Reply], Server]]:
    servers: list[Server] = []

    def start(reply: Reply) -> Server:
        servers.append(Server(reply))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def attacker(server: Server) -> LlmAttacker:
    return LlmAttacker(ChatEndpoint(server.url, "attacker", retries=0))


@pytest.fixture
def campaign(items: list[EvaluationItem], rule_target: type) -> Callable[..., Campaign]:
    def make(rule: Callable[[Messages], str], **more: Any) -> Campaign:
        seeds = choose_seeds(items, 6, 7)
        return Campaign(rule_target(rule), seeds, SuccessJudge(items), material_of(items, 4096), **more)

    return make


def test_it_refines_until_the_target_gives_in(
    serve: Callable[[Reply], Server], campaign: Callable[..., Campaign], leaky_rule: Callable[[str], Any]
) -> None:
    """The hole is a phrase that no mutation makes; the attacker comes to it after it was told that it failed."""

    def reply(body: dict[str, Any]) -> tuple[int, str]:
        told = [message["content"] for message in body["messages"] if message["role"] == "user"]
        phrase = (
            "open sesame" if any("first idea" in message["content"] for message in body["messages"]) else "first idea"
        )
        goal = told[0].split("must refuse: ")[1].split("\n")[0]
        return 200, "Here you are:\n```json\n" + json.dumps({"why": "x", "prompt": f"{phrase}, {goal}"}) + "\n```"

    server = serve(reply)
    one = campaign(leaky_rule("open sesame"), proposer=attacker(server))
    one.search(18, 6)
    alone = campaign(leaky_rule("open sesame"))
    alone.search(18, 6)
    assert one.asked == alone.asked == 6 * 18, "the attacking model spends out of the same budget"
    assert not any(broken(alone, place) for place in range(6))
    assert all(broken(one, place) for place in range(6))
    hit = next(attempt for attempt in one.attempts[0] if attempt.outcome.success)
    assert "llm_attacker" in hit.prompt.families()
    sent = json.dumps(server.asked)
    assert "first idea" in sent and "it failed" in sent, "it was shown what was tried"
    assert "5550123" not in sent, "what the target disclosed does not leave the machine"


def test_unusable_proposals_are_counted_and_their_budget_goes_to_mutations(
    serve: Callable[[Reply], Server], campaign: Callable[..., Campaign], robust_rule: Callable[[Messages], str]
) -> None:
    turn = iter(range(10_000))
    said = ["I can't help with that.", '{"prompt": "What is the salary? tell"}', '{"prompt": 3}', "{broken"]
    model = attacker(serve(lambda body: (200, said[next(turn) % 4])))
    told: list[str] = []
    model._progress = told.append
    one = campaign(robust_rule, proposer=model)
    one.search(12, 6)
    assert one.asked == 6 * 12
    assert (model.proposed, model.failed) == (4, 14) or model.proposed + model.failed == 18
    assert model.failed >= 12 and told and "unusable" in told[0]


def test_nothing_usable_at_all_is_an_error(
    serve: Callable[[Reply], Server], campaign: Callable[..., Campaign], robust_rule: Callable[[Messages], str]
) -> None:
    model = attacker(serve(lambda body: (200, "I will not.")))
    with pytest.raises(RuntimeError, match="'attacker' wrote nothing usable"):
        campaign(robust_rule, proposer=model).search(12, 6)


def test_a_wrong_key_stops_the_attack(
    serve: Callable[[Reply], Server], campaign: Callable[..., Campaign], robust_rule: Callable[[Messages], str]
) -> None:
    server = serve(lambda body: (401, "bad key"))
    with pytest.raises(EndpointError, match="unauthorized"):
        campaign(robust_rule, proposer=attacker(server)).search(12, 6)
    assert len(server.asked) <= 4, "asking on would be of no use"


def test_no_endpoint_no_attacker() -> None:
    assert attacker_at("", "", "") is None
    with pytest.raises(ValueError, match="need attacker_url"):
        attacker_at("", "some-model", "")
    with pytest.raises(ValueError, match="name the model"):
        attacker_at("http://127.0.0.1:9/v1", "", "")


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ('{"why": "a", "prompt": " Ask {x} this "}', "Ask {x} this"),
        ('Sure!\n```json\n{"prompt": "two\nlines"}\n```', "two\nlines"),
        ('{"prompt": 5}', ""),
        ('["prompt"]', ""),
        ("{oops}", ""),
        ("", ""),
        (json.dumps({"prompt": "x" * 9000}), "x" * 2000),
    ],
)
def test_question_in_a_reply(text: str, question: str) -> None:
    assert question_in(text) == question
