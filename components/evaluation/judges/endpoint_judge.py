"""An LLM behind an OpenAI-compatible endpoint judges helpfulness by the published rubric."""

from collections.abc import Sequence
from typing import Literal

from flywheel.components.evaluation.chat_endpoint import ChatEndpoint, Completion, EndpointError
from flywheel.components.evaluation.judges.judge import Comparison, Judgement
from flywheel.components.evaluation.judges.judge_rubric import (
    VERSION,
    pair_prompt,
    read_score,
    read_verdict,
    score_prompt,
)
from flywheel.components.evaluation.judges.reply_cache import ReplyCache
from flywheel.components.evaluation.scores.score_lines import Preference

_MAX_TOKENS = 400  # three sentences and the last line, with room for models that think aloud

Prompt = list[dict[str, str]]

_FIRST: dict[str, Preference] = {"A": "candidate", "B": "production", "TIE": "tie"}
_SWAPPED: dict[str, Preference] = {"A": "production", "B": "candidate", "TIE": "tie"}


class EndpointJudge:
    """Asks an LLM about each pair of answers twice: in both orders, or one answer at a time.

    Args:
        endpoint: Where to ask.
        cache: Where replies are kept.
        mode: `preference` asks which answer is more helpful, in both orders; `score` asks how helpful each is.
        workers: Questions in flight at a time.
    """

    def __init__(
        self,
        endpoint: ChatEndpoint,
        cache: ReplyCache,
        mode: Literal["preference", "score"] = "preference",
        workers: int = 4,
    ) -> None:
        self._endpoint, self._cache, self._mode, self._workers = endpoint, cache, mode, workers

    @property
    def identity(self) -> str:
        """Model, address, rubric and mode."""
        return f"{self._endpoint.model} at {self._endpoint.url}, {VERSION}, {self._mode}"

    def judge(self, comparisons: Sequence[Comparison]) -> list[Judgement]:
        """Judge pairs of answers.

        Args:
            comparisons: Pairs of answers.

        Returns:
            One judgement per pair. Equal answers are a tie without asking. A reply that cannot be read, or a question
            that the endpoint does not answer, is a failure.

        Raises:
            EndpointError: The endpoint answered nothing at all: a matter of settings or network, not of these answers.
        """
        prompts = [prompt for pair in comparisons for prompt in self._prompts(pair)]
        replies = iter(self._ask(prompts))
        return [self._read(pair, [next(replies) for _ in self._prompts(pair)]) for pair in comparisons]

    def _prompts(self, pair: Comparison) -> list[Prompt]:
        if pair.candidate == pair.production:
            return [] if self._mode == "preference" else [score_prompt(pair.messages, pair.references, pair.candidate)]
        if self._mode == "preference":
            return [
                pair_prompt(pair.messages, pair.references, pair.candidate, pair.production),
                pair_prompt(pair.messages, pair.references, pair.production, pair.candidate),
            ]
        return [score_prompt(pair.messages, pair.references, text) for text in (pair.candidate, pair.production)]

    def _read(self, pair: Comparison, replies: list[str | EndpointError]) -> Judgement:
        broken = next((reply for reply in replies if isinstance(reply, EndpointError)), None)
        if broken:
            return Judgement(failure=str(broken)[:300])
        texts = [reply for reply in replies if isinstance(reply, str)]
        if self._mode == "score":
            scores = [read_score(text) for text in texts]
            good = [score for score in scores if score is not None]
            if len(good) < len(scores):
                return Judgement(failure=_unreadable(texts[scores.index(None)]))
            return Judgement(candidate=good[0], production=good[-1])
        if not texts:
            return Judgement(preference=("tie", "tie"))
        first, swapped = (read_verdict(text) for text in texts)
        if first is None or swapped is None:
            return Judgement(failure=_unreadable(texts[0] if first is None else texts[1]))
        return Judgement(preference=(_FIRST[first], _SWAPPED[swapped]))

    def _ask(self, prompts: Sequence[Prompt]) -> list[str | EndpointError]:
        """Replies to prompts, from the cache where it has them; only readable ones are kept."""
        readable = read_verdict if self._mode == "preference" else read_score
        replies: list[str | EndpointError | None] = [self._cache.get(self.identity, prompt) for prompt in prompts]
        new = [place for place, reply in enumerate(replies) if reply is None]
        made = self._endpoint.complete_all([prompts[place] for place in new], _MAX_TOKENS, self._workers)
        for place, said in zip(new, made, strict=True):
            replies[place] = said if isinstance(said, EndpointError) else said.text
            if isinstance(said, Completion) and readable(said.text) is not None:
                self._cache.put(said.text, self.identity, prompts[place])
        failures = [said for said in made if isinstance(said, EndpointError)]
        if failures and len(failures) == len(prompts):
            raise failures[0]
        return [reply for reply in replies if reply is not None]


def _unreadable(reply: str) -> str:
    return f"unparseable verdict, the reply ends: {reply[-120:]!r}"
