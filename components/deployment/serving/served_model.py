"""The KServe model: one causal LM behind the OpenAI chat route and KServe's V1 `:predict`, bound to loopback.

KServe 0.21 registers its own OpenAI routes only where vLLM is installed
(`kserve/protocol/rest/openai/endpoints.py` imports `vllm.entrypoints`), so the chat route is added here by hand.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from typing import Any

import kserve
import orjson
from kserve.errors import InvalidInput
from kserve.model_server import app
from starlette.requests import Request
from starlette.responses import Response

from flywheel.components.deployment.serving.greedy_generation import Answer, GreedyModel
from flywheel.components.deployment.serving.micro_batches import MicroBatcher

Chat = list[dict[str, str]]


class ServedModel(kserve.Model):
    """A causal language model with dynamic micro-batching.

    Args:
        name: Name in the routes and in the `model` field of answers.
        model: The loaded model.
        digest: Identity of the weights; every answer carries it as `system_fingerprint`, so that whoever splits the
            traffic can check which model really answered.
        largest: Most requests in a batch.
        wait: Longest wait for company, seconds.
    """

    def __init__(self, name: str, model: GreedyModel, digest: str, largest: int = 32, wait: float = 0.004) -> None:
        super().__init__(name)
        self.digest = digest
        self._batches: MicroBatcher[Chat, Answer] = MicroBatcher(model.answer, largest, wait)
        self.ready = True

    async def answer(self, messages: Any) -> Answer:
        """Answer one chat.

        Raises:
            InvalidInput: The messages are not a non-empty list of {"role": str, "content": str}.
        """
        if (
            not isinstance(messages, list)
            or not messages
            or not all(
                isinstance(message, dict)
                and isinstance(message.get("role"), str)
                and isinstance(message.get("content"), str)
                for message in messages
            )
        ):
            raise InvalidInput('messages must be a non-empty list of {"role": ..., "content": ...} with text content')
        return await self._batches.submit(messages)

    async def predict(
        self, payload: Any, headers: dict[str, str] | None = None, response_headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Answer KServe V1: `{"instances": [{"messages": [...]}]}` to `{"predictions": [{...}]}`."""
        instances = payload.get("instances") if isinstance(payload, dict) else None
        if not isinstance(instances, list) or not all(isinstance(instance, dict) for instance in instances):
            raise InvalidInput('expected {"instances": [{"messages": [...]}, ...]}')
        answers = await asyncio.gather(*(self.answer(instance.get("messages")) for instance in instances))
        return {
            "predictions": [
                {"text": answer.text, "tokens": answer.completion_tokens, "model_digest": self.digest}
                for answer in answers
            ]
        }

    async def chat_completion(self, request: Request) -> Response:
        """Answer OpenAI's chat completions (text, one choice, greedy; sampling options are ignored)."""
        try:
            body = orjson.loads(await request.body())
            if not isinstance(body, dict):
                raise InvalidInput("the body must be a JSON object")
            if body.get("stream"):
                raise InvalidInput("stream is not supported; leave it out")
            answer = await self.answer(body.get("messages"))
        except (orjson.JSONDecodeError, InvalidInput) as error:
            reply = {"error": {"message": str(error), "type": "invalid_request_error", "code": 400}}
            return Response(orjson.dumps(reply), status_code=400, media_type="application/json")
        completion = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self.name,
            "system_fingerprint": self.digest,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": answer.text},
                    "finish_reason": "stop" if answer.finished else "length",
                }
            ],
            "usage": {
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
                "total_tokens": answer.prompt_tokens + answer.completion_tokens,
            },
        }
        return Response(orjson.dumps(completion), media_type="application/json")


class OneAddressServer(kserve.ModelServer):
    """KServe's model server on one address, loopback unless told otherwise; upstream always binds 0.0.0.0."""

    host = "127.0.0.1"

    async def _serve(self) -> None:
        self._rest_server.config.host = self.host
        await super()._serve()


def serve(model: ServedModel, http_port: int, host: str = "127.0.0.1") -> None:
    """Serve until SIGTERM: REST only, one worker.

    Args:
        model: What to serve.
        http_port: Port.
        host: Address to listen on; a pod listens on 0.0.0.0.
    """
    with contextlib.suppress(ImportError):  # a faster loop where there is one
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.set_event_loop(asyncio.new_event_loop())  # kserve asks for the current loop before it starts its own
    app.add_route("/openai/v1/chat/completions", model.chat_completion, methods=["POST"])
    server = OneAddressServer(
        http_port=http_port, workers=1, enable_grpc=False, enable_latency_logging=False, grace_period=2
    )
    server.host = host
    for name in ("kserve", "kserve.trace", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
    server.start([model])
