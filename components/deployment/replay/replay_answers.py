"""Let production and candidate answer the same logged prompts as their servers would: greedy, in batches, and timed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Protocol

from flywheel.components.deployment.serving.greedy_generation import Answer

Chat = Sequence[dict[str, str]]
BATCH = 32


class Answers(Protocol):
    """What answers chats (`greedy_generation.GreedyModel`)."""

    def answer(self, chats: Sequence[Chat]) -> list[Answer]:
        """Answer a batch of chats; raises when it cannot."""
        ...


@dataclass
class Replayed:
    """One model's answers to the replayed prompts, in their order.

    Attributes:
        texts: Answers; None where the model failed.
        tokens: Tokens of the answers; None where the model failed.
        latency_ms: Time of one answer alone, milliseconds; None where it was not measured.
        failures: Error and how often it happened.
    """

    texts: list[str | None]
    tokens: list[int | None]
    latency_ms: list[float | None]
    failures: Counter[str] = field(default_factory=Counter)


def load(folder: str | Path) -> Answers:
    """Load a model as the canary's servers load it.

    Raises:
        FileNotFoundError: The folder or its weights are missing.
        ValueError: It cannot be loaded without running its code.
    """
    from flywheel.components.deployment.serving.greedy_generation import GreedyModel

    return GreedyModel(folder)


def replay(model: Answers, chats: Sequence[Chat]) -> Replayed:
    """Answer all chats.

    A batch that fails is asked again chat by chat, so that one prompt that a model cannot take costs one answer. A
    failure here is what a server would answer with 5xx: it is counted, never raised.

    Args:
        model: The model.
        chats: Chats in the OpenAI message shape.

    Returns:
        The answers; no latency yet.
    """
    made = Replayed([None] * len(chats), [None] * len(chats), [None] * len(chats))
    order = sorted(range(len(chats)), key=lambda place: sum(len(one["content"]) for one in chats[place]))
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        try:
            answers: list[Answer | None] = list(model.answer([chats[place] for place in places]))
        except Exception:  # noqa: BLE001 - whatever it is, the next lines find out which prompts cause it
            answers = [_alone(model, chats[place], made.failures) for place in places]
        for place, answer in zip(places, answers, strict=True):
            if answer is not None:
                made.texts[place], made.tokens[place] = answer.text, answer.completion_tokens
    return made


def measure_latency(
    production: Answers, candidate: Answers, chats: Sequence[Chat], replayed: tuple[Replayed, Replayed], most: int
) -> None:
    """Time single answers of both models to the same prompts, in turns, so that a slow moment hits both alike.

    Args:
        production: Production.
        candidate: Candidate.
        chats: All replayed chats.
        replayed: Production's and candidate's answers; their latencies are filled in.
        most: Most prompts to time; they are spread evenly over the chats.
    """
    sound = [place for place in range(len(chats)) if None not in (replayed[0].texts[place], replayed[1].texts[place])]
    chosen = sound if len(sound) <= most else [sound[number * len(sound) // most] for number in range(most)]
    for warm in (production, candidate):
        if chosen:
            warm.answer([chats[chosen[0]]])
    for number, place in enumerate(chosen):
        pairs = [(production, replayed[0]), (candidate, replayed[1])]
        for model, into in pairs if number % 2 == 0 else pairs[::-1]:
            started = perf_counter()
            model.answer([chats[place]])
            into.latency_ms[place] = (perf_counter() - started) * 1000


def _alone(model: Answers, chat: Chat, failures: Counter[str]) -> Answer | None:
    try:
        return model.answer([chat])[0]
    except Exception as error:  # noqa: BLE001 - a template error, out of memory, a device error: all are a 5xx
        failures[f"{type(error).__name__}: {error}"[:200]] += 1
        return None
