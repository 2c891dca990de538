"""Mine preference pairs: which of two answers to one question people prefer, with the evidence.

* correction: the accepted correction is preferred to the answer that it corrects; the weight is its confidence.
* votes: of two answers to the same question (same words, same conversation before it) the up-voted one is preferred to
  the down-voted one; the weight is the share of the voters who agree, with one vote of doubt on either side.

A vote pair is dropped when it would teach what a correction unteaches, or when its question lies between two groups of
the split, where it would leak.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from flywheel.components.curation.corrections import context_of
from flywheel.components.curation.duplicates import near_duplicates
from flywheel.components.curation.texts.normal_form import normal_form, question_form
from flywheel.components.store.tables import row_id

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema(
    [
        ("prompt", _MESSAGES),
        ("chosen", pa.string()),
        ("rejected", pa.string()),
        ("evidence", pa.string()),  # correction or votes
        ("candidate_id", pa.string()),  # "" for votes
        ("group_id", pa.string()),
        ("weight", pa.float64()),  # in (0, 1]
    ]
)
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Mined:
    """The pairs and where the rest went: considered = pairs + duplicates + dropped."""

    pairs: pa.Table
    considered: int
    duplicates: int
    dropped: dict[str, int]

    def evidence(self) -> dict[str, int]:
        """Pairs by evidence."""
        return dict(sorted(Counter(self.pairs["evidence"].to_pylist()).items()))


def mine(candidates: Sequence[Row], voted: Sequence[Row], lexicon: frozenset[str]) -> Mined:
    """Make the pairs.

    Args:
        candidates: Accepted candidates.
        voted: Rated interactions: prompt, messages, response, up, down (distinct users).
        lexicon: Names of the corpus.

    Returns:
        The pairs, ordered by evidence, then content.
    """
    made: list[dict[str, Any]] = []
    dropped: Counter[str] = Counter()
    for row in candidates:
        if row["correction"].split() == row["response"].split():
            dropped["same_text"] += 1
        else:
            made.append(
                {
                    "prompt": _prompt(row),
                    "chosen": row["correction"],
                    "rejected": row["response"],
                    "evidence": "correction",
                    "candidate_id": row["candidate_id"],
                    "group_id": row["group_id"],
                    "weight": row["confidence"],
                }
            )
    corrected = {(_question(row), normal_form(row["response"])) for row in candidates}
    voted_pairs = _by_votes(voted)
    groups = _groups([_question(row) for row in candidates], candidates, [pair[0] for pair in voted_pairs], lexicon)
    for (question, chosen, rejected, weight), group_id in zip(voted_pairs, groups, strict=True):
        if (question, normal_form(chosen["response"])) in corrected:
            dropped["contradicts_correction"] += 1
        elif group_id is None:
            dropped["between_groups"] += 1
        else:
            made.append(
                {
                    "prompt": _prompt(chosen),
                    "chosen": chosen["response"],
                    "rejected": rejected["response"],
                    "evidence": "votes",
                    "candidate_id": "",
                    "group_id": group_id,
                    "weight": weight,
                }
            )
    order = ("evidence", "candidate_id", "group_id", "chosen", "rejected")
    made.sort(key=lambda pair: tuple(pair[name] for name in order))
    seen: set[str] = set()
    pairs = []
    for pair in made:
        said = [text for turn in pair["prompt"] for text in turn.values()]
        identity = row_id(*said, pair["chosen"], pair["rejected"])
        if identity not in seen:
            seen.add(identity)
            pairs.append(pair)
    return Mined(
        pa.Table.from_pylist(pairs, schema=SCHEMA),
        considered=len(candidates) + len(voted_pairs),
        duplicates=len(made) - len(pairs),
        dropped=dict(sorted(dropped.items())),
    )


def _prompt(row: Row) -> list[dict[str, str]]:
    """The messages up to the last user message; the bare prompt when there are none."""
    turns = json.loads(row["messages"] or "[]")
    last = max((i for i, turn in enumerate(turns) if turn["role"] == "user"), default=None)
    if last is None:
        return [{"role": "user", "content": row["prompt"]}]
    return [{"role": turn["role"], "content": turn["content"]} for turn in turns[: last + 1]]


def _question(row: Row) -> tuple[str, str]:
    return normal_form(context_of(row["messages"])), question_form(row["prompt"])


def _by_votes(voted: Sequence[Row]) -> list[tuple[tuple[str, str], Row, Row, float]]:
    """(question, chosen, rejected, weight) of each question with an up-voted and a down-voted answer."""
    answers: dict[tuple[str, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in sorted(voted, key=lambda row: (row["messages"], row["response"])):
        answer = answers[_question(row)].setdefault(normal_form(row["response"]), {**row, "up": 0, "down": 0})
        answer["up"] += row["up"]
        answer["down"] += row["down"]
    pairs: list[tuple[tuple[str, str], Row, Row, float]] = []
    for question, known in sorted(answers.items()):
        best = max(known.values(), key=lambda answer: (answer["up"] - answer["down"], answer["response"]))
        worst = min(known.values(), key=lambda answer: (answer["up"] - answer["down"], answer["response"]))
        if best["up"] > best["down"] and worst["down"] > worst["up"]:
            agreeing = best["up"] + worst["down"]
            weight = (agreeing + 1) / (agreeing + best["down"] + worst["up"] + 2)
            pairs.append((question, best, worst, weight))
    return pairs


def _groups(
    known: Sequence[tuple[str, str]],
    candidates: Sequence[Row],
    asked: Sequence[tuple[str, str]],
    lexicon: frozenset[str],
) -> list[str | None]:
    """Group id of each asked question: the candidates' where it is a near-duplicate, its own else; None between two."""
    if not asked:
        return []
    labels = near_duplicates.group([*known, *asked], lexicon).tolist()
    taken: dict[int, set[str]] = defaultdict(set)
    for label, row in zip(labels, candidates, strict=False):
        taken[label].add(row["group_id"])
    own: dict[int, str] = {}
    for label, question in zip(labels[len(known) :], asked, strict=True):
        own[label] = min(own.get(label, "~"), row_id("group", *question))
    found: list[str | None] = []
    for label in labels[len(known) :]:
        groups = taken[label]
        found.append(own[label] if not groups else groups.copy().pop() if len(groups) == 1 else None)
    return found
