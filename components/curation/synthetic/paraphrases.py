"""Paraphrases by a language model: behind an OpenAI-compatible endpoint, or from a folder on this machine.

The model is asked for JSON and believed in nothing: what is not valid JSON of the asked shape is counted and dropped,
and what is goes through the same gates as everything else.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

PROMPT = (
    "You rewrite questions of customers. Rewrite the QUESTION below in {count} different ways that other people might "
    "use. Keep every name, number, unit and negation exactly as it is, keep the meaning and the language, and add "
    'nothing. Reply with JSON only, in this shape: {{"questions": ["...", "..."]}}\n\nQUESTION: {question}'
)
PROMPT_VERSION = "paraphrase/1"
_MAX_TOKENS = 400


class Writer(Protocol):
    """Who writes paraphrases."""

    name: str
    parameters: dict[str, Any]

    def write(self, prompts: Sequence[str]) -> list[str | None]:
        """Replies in order; None where there is none."""
        ...


class EndpointWriter:
    """A model behind an OpenAI-compatible endpoint.

    Args:
        url: Base URL as in `https://host/v1`.
        model: Model name.
        key_variable: Name of the environment variable that holds the API key; "" for none.
        temperature: Sampling temperature.
        seed: Sampling seed.
        cache: Folder where replies are kept, so that a retry does not ask twice; "" keeps none.

    Raises:
        ValueError: An address, a name or the variable is not usable.
    """

    def __init__(
        self, url: str, model: str, key_variable: str = "", temperature: float = 0.8, seed: int = 7, cache: str = ""
    ) -> None:
        from flywheel.components.evaluation.chat_endpoint import ChatEndpoint
        from flywheel.components.evaluation.judges.reply_cache import ReplyCache

        self._endpoint = ChatEndpoint(url, model, key_variable)
        self._cache = ReplyCache(cache) if cache else None
        self.name = model
        self.parameters = {
            "prompt": PROMPT_VERSION,
            "temperature": temperature,
            "seed": seed,
            "url": self._endpoint.url,
        }
        self._settings = temperature, seed

    def write(self, prompts: Sequence[str]) -> list[str | None]:
        """Ask the endpoint.

        Raises:
            EndpointError: The endpoint answered nothing at all, or the next question would fail alike.
        """
        from flywheel.components.evaluation.chat_endpoint import EndpointError

        replies: list[str | None] = []
        failure: EndpointError | None = None
        for prompt in prompts:
            kept = self._cache.get(self.name, self.parameters, prompt) if self._cache else None
            if kept is None:
                try:
                    kept = self._endpoint.complete(
                        [{"role": "user", "content": prompt}], _MAX_TOKENS, *self._settings
                    ).text
                    if self._cache:
                        self._cache.put(kept, self.name, self.parameters, prompt)
                except EndpointError as error:
                    if error.fatal:
                        raise
                    failure = error
            replies.append(kept)
        if failure is not None and not any(replies):
            raise failure
        return replies


class LocalWriter:
    """A model folder on this machine.

    Args:
        folder: Safetensors, config and tokenizer with a chat template.
        temperature: Sampling temperature.
        seed: Sampling seed.

    Raises:
        ValueError: The folder cannot be loaded safely.
    """

    def __init__(self, folder: str, temperature: float = 0.8, seed: int = 7) -> None:
        from flywheel.components.evaluation.generate import Generator

        self._generator = Generator(folder, max_new_tokens=_MAX_TOKENS)
        self.name = f"local:{self._generator.folder.name}"
        self.parameters = {"prompt": PROMPT_VERSION, "temperature": temperature, "seed": seed}
        self._settings = temperature, seed

    def write(self, prompts: Sequence[str]) -> list[str | None]:
        """Let the model answer, a few prompts at a time."""
        from flywheel.components.contracts.dataset import EvaluationItem
        from flywheel.components.contracts.feedback import Message

        items = [
            EvaluationItem(
                item_id=f"paraphrase-{place}",
                suite="helpfulness",
                kind="open",
                messages=(Message(role="user", content=prompt),),
            )
            for place, prompt in enumerate(prompts)
        ]
        answers = self._generator.sample(items, 1, *self._settings, batch_size=8) if items else []
        return [answer.text if not answer.error else None for (answer,) in answers]


def ask(parents: Sequence[tuple[Mapping[str, Any], int]]) -> list[str]:
    """The prompt of each parent with the number of paraphrases wanted; two more are asked for, as some will fail."""
    return [PROMPT.format(count=count + 2, question=json.dumps(row["prompt"])) for row, count in parents]


def read_questions(reply: str | None) -> list[str] | None:
    """Questions of a reply; None when it is not JSON of the asked shape.

    A code fence or words around the one JSON object are forgiven.
    """
    start, end = (reply or "").find("{"), (reply or "").rfind("}")
    if not reply or start < 0 or end < start:
        return None
    try:
        found = json.loads(reply[start : end + 1])
    except ValueError:
        return None
    questions = found.get("questions") if isinstance(found, dict) else None
    if not isinstance(questions, list) or not all(isinstance(one, str) for one in questions):
        return None
    return [" ".join(one.split()) for one in questions if one.strip()]
