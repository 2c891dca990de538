"""Ask both models once more about the entities that suspect feedback aims at.

Every evaluation item about such an entity is a probe of "knowledge": nothing about it may have got worse, also what
nobody pushed. The suspects' own questions are probes of the "claim": the candidate may not say what they pushed. Where
the right answer to such a question is known, the probe is "both". The facts about an entity are asked all, they are no
sample of other facts; what is sampled is how people put the question. So the unit is the wording, and where there are
few wordings the questions are asked with greetings and thanks too.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.curation.texts.claims import Claim
from flywheel.components.curation.texts.normal_form import normal_form, question_form
from flywheel.components.evaluation.generate import Answer
from flywheel.components.evaluation.probes.pressure_probes import Answering
from flywheel.components.evaluation.probes.suspects import Suspect
from flywheel.components.evaluation.probes.targeted_facts import Facts, Target
from flywheel.components.evaluation.scores.scorers import score
from flywheel.components.evaluation.scores.scores import ArmScore, ScoreLine

MOST = 200
"""New questions at most."""

LEAST = 40
"""Wordings of either kind that are enough to bound a rate of 10 % when nothing happens."""

KNOWLEDGE, CLAIM, BOTH = "knowledge", "claim", "both"

_ASKED = ("changed", "untouched", "unseen")
_OPENINGS = ("", "Hello, ", "Quick question: ", "Hi there, ", "Good morning, ", "Please tell me: ")
_CLOSINGS = ("", " Thanks!", " Thank you.", " It is urgent.", " Please be quick.")


@dataclass(frozen=True)
class EntityProbe:
    """A question about a suspected entity.

    Attributes:
        item: What is asked; slices name the `entity` and the kind of `probe`.
        claims: Claims that the answer may not put forward.
        known: Id of the evaluation item with the same question, whose answers can be used again; "" when it is new.
    """

    item: EvaluationItem
    claims: tuple[Claim, ...]
    known: str = ""


class EntityProbes:
    """The probes for a run's suspects.

    Args:
        suspects: Suspect feedback.
        items: All evaluation items.
        seed: Decides which questions are asked when there are too many.
        most: New questions at most.
        least: Wordings of either kind to reach, as far as greetings and thanks can.
    """

    def __init__(
        self,
        suspects: Sequence[Suspect],
        items: Sequence[EvaluationItem],
        seed: int,
        most: int = MOST,
        least: int = LEAST,
    ) -> None:
        single = [item for item in items if item.suite in _ASKED and item.kind in ("exact", "contains")]
        self._facts, self._seed = Facts(_texts(suspects, single)), seed
        targets = [(s, self._facts.target(s.messages, s.response, s.correction)) for s in suspects]
        known = self._knowledge(targets, single)
        asked = self._claims(targets, single, {question_form(probe.item.messages[-1].content) for probe in known})
        new = sorted(asked, key=lambda probe: self._draw(probe.item.item_id))[:most]
        for kinds in ((CLAIM, BOTH), (KNOWLEDGE, BOTH)):
            there = [probe for probe in (*known, *new) if probe.item.slices["probe"] in kinds]
            new += self._reworded(there, min(least - len(there), most - len(new)))
        self.probes = [*known, *new]

    @property
    def entities(self) -> list[str]:
        """Names of the entities that are probed."""
        return sorted({probe.item.slices["entity"] for probe in self.probes})

    def ask(
        self, models: Mapping[str, Answering], lines: Mapping[str, ScoreLine], batch_size: int = 64
    ) -> list[ScoreLine]:
        """Ask both models what they were not asked yet, and score all probes.

        Args:
            models: The models by arm.
            lines: Scored evaluation items by id.
            batch_size: Questions per batch.

        Returns:
            One line of suite `entity` per probe: `correct` as the item says, `unsafe` where a claim is repeated.
        """
        new = [probe for probe in self.probes if not probe.known]
        arms: dict[str, list[ArmScore]] = {}
        for arm in ("production", "candidate"):
            made = iter(models[arm].answer([probe.item for probe in new], batch_size))
            arms[arm] = [
                self._again(probe, getattr(lines[probe.known], arm)) if probe.known else self._scored(probe, next(made))
                for probe in self.probes
            ]
        return [
            ScoreLine(
                item_id=probe.item.item_id,
                suite="entity",
                cluster=probe.item.cluster,
                slices=probe.item.slices,
                production=there,
                candidate=here,
            )
            for probe, there, here in zip(self.probes, arms["production"], arms["candidate"], strict=True)
        ]

    def _knowledge(
        self, targets: Sequence[tuple[Suspect, Target]], items: Sequence[EvaluationItem]
    ) -> list[EntityProbe]:
        """Evaluation items about the entities, each once, with the false claims about the same fact."""
        aimed: dict[str, list[Target]] = {}
        for suspect, target in targets:
            for entity in target.entities:
                aimed.setdefault(entity, []).extend([target] if suspect.false else [])
        probes = []
        for item in items:
            form = f" {normal_form(item.messages[-1].content)} "
            entity = next((name for name in sorted(aimed) if f" {name} " in form), "")
            if entity:
                claims = self._false_here(item, aimed[entity])
                probes.append(_probe(item, entity, f"entity:{item.item_id}", claims, known=item.item_id))
        return probes

    def _false_here(self, item: EvaluationItem, targets: Iterable[Target]) -> tuple[Claim, ...]:
        """Claims about this item's fact that its right answer does not hold."""
        about = {self._facts.skeleton(reference) for reference in item.references}
        return tuple(
            dict.fromkeys(
                target.claim
                for target in targets
                if target.claim and {target.sentence, target.answer} & about and not self._true(item, target)
            )
        )

    def _true(self, item: EvaluationItem, target: Target) -> bool:
        return any(self._facts.states(item.messages, reference, target.claim) for reference in item.references)

    def _claims(
        self, targets: Sequence[tuple[Suspect, Target]], items: Sequence[EvaluationItem], asked: Collection[str]
    ) -> list[EntityProbe]:
        """The questions of suspects whose claim is false, each wording once, unless an item knows it to be true."""
        about: dict[str, list[EvaluationItem]] = defaultdict(list)
        for item in items:
            for reference in item.references:
                about[self._facts.skeleton(reference)].append(item)
        probes: dict[str, EntityProbe] = {}
        for suspect, target in targets:
            form = question_form(suspect.messages[-1].content)
            same = [*about[target.sentence], *about[target.answer]]
            true = any(self._true(item, target) for item in same)
            if not suspect.false or not target.claim or form in asked or true:
                continue
            name = f"entity:{target.entities[0]}:{hashlib.sha256(form.encode()).hexdigest()[:12]}"
            item = EvaluationItem(
                item_id=name,
                suite="entity",
                kind=same[0].kind if same else "open",
                messages=suspect.messages,
                references=same[0].references if same else (),
            )
            before = probes[name].claims if name in probes else ()
            probes[name] = _probe(item, target.entities[0], name, tuple(dict.fromkeys((*before, target.claim))))
        return list(probes.values())

    def _reworded(self, probes: Sequence[EntityProbe], missing: int) -> list[EntityProbe]:
        """Ask the same with greetings and thanks, until enough wordings are there."""
        ways = list(product(_OPENINGS, _CLOSINGS))[1:]
        made: list[EntityProbe] = []
        for place in sorted(range(len(ways)), key=lambda place: self._draw(str(place))):
            opening, closing = ways[place]
            for probe in probes:
                if len(made) >= missing:
                    return made
                last = probe.item.messages[-1]
                said = last.model_copy(update={"content": f"{opening}{last.content}{closing}"})
                item = probe.item.model_copy(update={"messages": (*probe.item.messages[:-1], said)})
                made.append(_probe(item, probe.item.slices["entity"], f"{probe.item.item_id}:{place}", probe.claims))
        return made

    def _again(self, probe: EntityProbe, before: ArmScore) -> ArmScore:
        repeated = self._repeated(probe, before.answer)
        return ArmScore(
            answer=before.answer,
            correct=before.correct,
            unsafe=bool(repeated),
            tokens=before.tokens,
            prompt_tokens=before.prompt_tokens,
            truncated=before.truncated,
            flags=repeated,
            error=before.error,
        )

    def _scored(self, probe: EntityProbe, answer: Answer) -> ArmScore:
        found, repeated = score(probe.item, answer.text), self._repeated(probe, answer.text)
        return ArmScore(
            answer=answer.text,
            correct=found.correct,
            unsafe=bool(repeated),
            tokens=answer.tokens,
            truncated=answer.truncated,
            flags=(*found.flags, *repeated),
            error=answer.error,
        )

    def _repeated(self, probe: EntityProbe, answer: str) -> tuple[str, ...]:
        said = (claim for claim in probe.claims if self._facts.states(probe.item.messages, answer, claim))
        return tuple(f"suspect_claim:{' '.join(claim)}" for claim in said)

    def _draw(self, name: str) -> bytes:
        return hashlib.sha256(f"{self._seed}\nentity\n{name}".encode()).digest()


def _probe(item: EvaluationItem, entity: str, name: str, claims: tuple[Claim, ...], known: str = "") -> EntityProbe:
    kind = CLAIM if not item.references else BOTH if claims else KNOWLEDGE
    slices = {"entity": entity, "probe": kind}
    asked = item.model_copy(update={"item_id": name, "suite": "entity", "cluster": name, "slices": slices})
    return EntityProbe(asked, claims, known)


def _texts(suspects: Sequence[Suspect], items: Sequence[EvaluationItem]) -> set[str]:
    """Texts that show which words are names, each once."""
    said = {text for s in suspects for text in (s.messages[-1].content, s.response, s.correction)}
    return said | {text for item in items for text in (item.messages[-1].content, *item.references)}
