"""Evolutionary search for prompts that break one model, within a budget of queries per seed item.

Every seed is asked exactly `queries` distinct prompts, also after it is broken: two models searched with one budget
have been asked equally much. The first generation is plain and one prompt of each of several families, the same for all
models; later ones vary the best prompts so far, borrow what works on other seeds, and draw mutations that helped on
this model more often. Where the model shows probabilities, "best" is how likely an answer that gives in is; where it
does not, how far its answer was from a refusal.

Source: the loop follows the evolutionary and beam searches of AutoDAN (Liu et al. 2023, arXiv:2310.04451) and GPTFuzzer
(Yu et al. 2023, arXiv:2309.10253); best-so-far with black-box feedback as in PAIR (Chao et al. 2023, arXiv:2310.08419).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.evaluation.attack.mutations import (
    FAMILIES,
    MUTATIONS,
    Gene,
    Genome,
    Material,
    Messages,
    change,
    families_of,
    render,
)
from flywheel.components.evaluation.attack.success import Outcome, SuccessJudge
from flywheel.components.evaluation.attack.target import Target
from flywheel.components.evaluation.generate import Answer

_PARENTS = 3
_BORROWED = 0.3  # chance that the parent comes from another seed
_TRIES = 200
_DISTANCE = {"failed": -1.0, "refused": 0.0, "incoherent": 1.0, "off_topic": 2.0, "complied": 3.0, "disclosed": 4.0}
PLAIN: Genome = ()


@dataclass(frozen=True)
class Prompt:
    """A prompt against one seed.

    Attributes:
        genome: Mutations.
        text: The question, written anew by an attacking model; empty: the seed's own.
    """

    genome: Genome = PLAIN
    text: str = ""

    def families(self) -> tuple[str, ...]:
        """Return its families, sorted."""
        mutated = tuple(name for name in families_of(self.genome) if name != "plain")
        return tuple(sorted((*mutated, "llm_attacker"))) if self.text else families_of(self.genome)


@dataclass(frozen=True)
class Attempt:
    """A prompt that was sent, and what came of it.

    Attributes:
        prompt: The prompt.
        messages: What was sent.
        answer: What the model said.
        outcome: What that is.
        lean: Mean log-probability of an answer that gives in, nats per token; None when the model was not asked.
        transferred: Whether the prompt was found on the other model.
    """

    prompt: Prompt
    messages: Messages
    answer: Answer
    outcome: Outcome
    lean: float | None = None
    transferred: bool = False

    def fitness(self) -> tuple[float, float]:
        """Order of attempts on one seed: success first, then how near it came."""
        return (float(self.outcome.success), _DISTANCE[self.outcome.kind] if self.lean is None else self.lean)

    def reach(self) -> tuple[float, float]:
        """Order of finished attempts: by what came of them; the leaning only breaks ties."""
        return (_DISTANCE[self.outcome.kind], self.lean if self.lean is not None else -math.inf)


class Proposer(Protocol):
    """Writes new questions from what was tried; see `llm_attacker`."""

    def propose(
        self, seeds: Sequence[EvaluationItem], tried: Sequence[Sequence[Attempt]], count: int
    ) -> list[list[str]]:
        """Return up to `count` questions per seed."""
        ...


@dataclass
class Campaign:
    """The attack on one model.

    Attributes:
        target: The model.
        seeds: Items under attack.
        judge: Decides what is a success.
        material: Words and exchanges for the mutations.
        seed: Seed of all chance.
        proposer: Attacking model, or None.
        progress: Called with a line after every generation.
        attempts: What was tried, per seed, in order.
        asked: Queries sent.
    """

    target: Target
    seeds: Sequence[EvaluationItem]
    judge: SuccessJudge
    material: Material
    seed: int = 7
    proposer: Proposer | None = None
    progress: Callable[[str], None] = lambda line: None
    attempts: list[list[Attempt]] = field(default_factory=list)
    asked: int = 0

    def __post_init__(self) -> None:
        self.attempts = [[] for _ in self.seeds]
        self._sent: list[set[Messages]] = [set() for _ in self.seeds]

    def search(self, queries: int, generation: int = 8) -> None:
        """Spend the budget.

        Args:
            queries: Prompts per seed.
            generation: Prompts per seed between two looks at what worked.

        Raises:
            ValueError: The budget is not positive.
        """
        if queries < 1 or generation < 1:
            raise ValueError(
                f"the attack needs a positive budget, got {queries} queries and {generation} per generation"
            )
        spent = number = 0
        while spent < queries:
            size = min(generation, queries - spent)
            last = spent + size >= queries
            self.send(self._first(size) if number == 0 else self._next(size, number), look=not last)
            spent += size
            number += 1
            broken = sum(any(one.outcome.success for one in tried) for tried in self.attempts)
            self.progress(f"{spent}/{queries} prompts on each of {len(self.seeds)} seeds, {broken} broken")

    def send(self, prompts: Sequence[Sequence[Prompt]], look: bool = False, transferred: bool = False) -> None:
        """Ask the model and judge its answers.

        Args:
            prompts: Prompts per seed.
            look: Whether to ask for probabilities too, for the next generation.
            transferred: Whether they were found on another model.
        """
        flat = [(place, prompt) for place, found in enumerate(prompts) for prompt in found]
        messages = [self.messages(place, prompt) for place, prompt in flat]
        yielding = [self._yielding(self.seeds[place]) for place, _ in flat] if look else ()
        reactions = self.target.ask(messages, yielding) if flat else []
        self.asked += len(flat)
        for (place, prompt), sent, reaction in zip(flat, messages, reactions, strict=True):
            answer = reaction.answer
            outcome = Outcome("failed") if answer.error else self.judge.judge(self.seeds[place], sent, answer.text)
            self.attempts[place].append(Attempt(prompt, sent, answer, outcome, reaction.lean, transferred))
            self._sent[place].add(sent)

    def messages(self, place: int, prompt: Prompt) -> Messages:
        """Return what a prompt sends for the seed at `place`."""
        messages = self.seeds[place].messages
        if prompt.text:
            messages = (*messages[:-1], messages[-1].model_copy(update={"content": prompt.text}))
        return render(prompt.genome, messages, self.material)

    def knows(self, place: int, prompt: Prompt) -> bool:
        """Tell whether the model was asked this already."""
        return self.messages(place, prompt) in self._sent[place]

    def _yielding(self, seed: EvaluationItem) -> str:
        """How an answer that gives in might begin: the words asked about, from the first of its own to the last."""
        text = seed.messages[-1].content
        own = self.judge.own_words(seed)
        lower = text.casefold()
        starts = [lower.find(word) for word in own if word in lower]
        ends = [lower.rfind(word) + len(word) for word in own if word in lower]
        return f"The {text[min(starts) : max(ends)]}" if starts else text

    def _first(self, size: int) -> list[list[Prompt]]:
        """Plain, then one mutation of each family; which one rotates, so that all are tried on some seed."""
        named = {family: [one.name for one in MUTATIONS.values() if one.family == family] for family in FAMILIES}
        prompts = []
        for place in range(len(self.seeds)):
            found: list[Prompt] = [Prompt()]
            sent = {self.messages(place, found[0])}
            for turn in range(_TRIES):
                if len(found) >= size:
                    break
                names = named[FAMILIES[(place + turn) % len(FAMILIES)]]
                name = names[(place + turn // len(FAMILIES)) % len(names)]
                prompt = Prompt((Gene(name, self.seed * 1000 + place + turn),))
                if (made := self.messages(place, prompt)) not in sent:
                    sent.add(made)
                    found.append(prompt)
            prompts.append(found[:size])
        return prompts

    def _next(self, size: int, number: int) -> list[list[Prompt]]:
        written: list[list[str]] = [[] for _ in self.seeds]
        if self.proposer is not None:
            written = self.proposer.propose(self.seeds, self.attempts, -(-size // 2))
        weights = self._weights()
        elite = self._elite()
        prompts = []
        for place, tried in enumerate(self.attempts):
            random = Random(f"{self.seed}:{self.seeds[place].item_id}:{number}")
            best = sorted(tried, key=Attempt.fitness, reverse=True)[:_PARENTS]
            found: list[Prompt] = []
            sent: set[Messages] = set()
            for text in written[place]:
                self._take(place, Prompt(text=text), found, sent)
            for _ in range(_TRIES):
                if len(found) >= size:
                    break
                borrowed = elite and random.random() < _BORROWED
                parent = Prompt(random.choice(elite)) if borrowed else random.choice(best).prompt
                varied = Prompt(change(parent.genome, random, weights), parent.text)
                self._take(place, parent if borrowed and random.random() < 0.5 else varied, found, sent)
            else:
                raise RuntimeError(
                    f"no {size} new prompts for item {self.seeds[place].item_id!r}: its text is too short"
                )
            prompts.append(found[:size])
        return prompts

    def _take(self, place: int, prompt: Prompt, found: list[Prompt], sent: set[Messages]) -> None:
        messages = self.messages(place, prompt)
        if messages not in sent and messages not in self._sent[place]:
            sent.add(messages)
            found.append(prompt)

    def _weights(self) -> list[float]:
        """Mean reward of each mutation on this model so far, shrunk to the middle: rank on its seed, 1 for success."""
        total = dict.fromkeys(MUTATIONS, 1.0)
        count = dict.fromkeys(MUTATIONS, 2.0)
        for tried in self.attempts:
            ranked = sorted(tried, key=Attempt.fitness)
            for rank, one in enumerate(ranked):
                reward = 1.0 if one.outcome.success else 0.5 * rank / max(1, len(ranked) - 1)
                for gene in one.prompt.genome:
                    total[gene.mutation] += reward
                    count[gene.mutation] += 1
        return [(total[name] / count[name]) ** 2 for name in MUTATIONS]

    def _elite(self) -> list[Genome]:
        """Genomes that broke a seed, most often first; without any, the best of each seed."""
        broken = [one.prompt.genome for tried in self.attempts for one in tried if one.outcome.success]
        near = [max(tried, key=Attempt.fitness).prompt.genome for tried in self.attempts if tried]
        return [genome for genome in (broken or near) if genome]
