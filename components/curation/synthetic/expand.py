"""Expand thin clusters: read a run's accepted candidates, write synthetic rows and a page about them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.curation.corrections import context_of
from flywheel.components.curation.guards.trusted_items import read_trusted
from flywheel.components.curation.stages.records import record
from flywheel.components.curation.synthetic import paraphrases, templates
from flywheel.components.curation.synthetic.gates import Gates
from flywheel.components.curation.synthetic.rows import SyntheticRow, make, write
from flywheel.components.curation.synthetic.thin_clusters import allotment, thin_clusters

UNREADABLE = "unreadable_reply"
_DUPLICATES = ("duplicate", "near_duplicate")
_EXAMPLES = 12

Offers = Iterator[tuple[str, str, dict[str, Any]]]  # question, generator, its parameters


@dataclass
class Expansion:
    """What was made, and where the rest went: offered = rows + rejected."""

    rows: list[SyntheticRow] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    thin: dict[str, int] = field(default_factory=dict)
    parents: int = 0
    requests: int = 0


def expand(
    accepted: Sequence[Mapping[str, Any]],
    known: Sequence[tuple[str, str]],
    lexicon: frozenset[str],
    min_size: int = 20,
    per_parent: int = 3,
    max_share: float = 0.1,
    writer: paraphrases.Writer | None = None,
    max_requests: int = 200,
) -> Expansion:
    """Make synthetic rows for the thin clusters of accepted candidates.

    Args:
        accepted: Accepted candidate rows of the store.
        known: (context, question) of all candidates and evaluation items; none of these is asked again.
        lexicon: Names of the corpus.
        min_size: Accepted corrections from which a cluster is not thin.
        per_parent: Most rows from one correction.
        max_share: Greatest share of synthetic rows among corrections and synthetic rows together, in [0, 1).
        writer: Model that paraphrases; None expands by templates.
        max_requests: Most questions to the writer.

    Raises:
        ValueError: A parameter is out of range.
    """
    if min_size < 0 or per_parent < 1 or max_requests < 0:
        raise ValueError(
            f"min_size and max_requests must be 0 or more and per_parent 1 or more, got {min_size}, {max_requests}, "
            f"{per_parent}"
        )
    if not 0 <= max_share < 1:
        raise ValueError(f"max_share must lie in [0, 1), got {max_share}")
    most = int(max_share / (1 - max_share) * len(accepted))
    done = Expansion(thin=thin_clusters(accepted, min_size))
    wanted = allotment(accepted, done.thin, min_size, per_parent, most if writer else per_parent * len(accepted))
    wanted = wanted[:max_requests] if writer else wanted
    offers = _by_model(wanted, writer, done) if writer else _by_templates(wanted, accepted, lexicon)
    _fill(offers, wanted, most, Gates(known, lexicon), done)
    return done


def _fill(
    offers: Sequence[Offers], wanted: Sequence[tuple[Mapping[str, Any], int]], most: int, gates: Gates, done: Expansion
) -> None:
    """Take one good offer of each parent in turn, until all have what they want, offer no more, or there are enough."""
    room = [count for _, count in wanted]
    open_ones = list(range(len(wanted)))
    parents: set[int] = set()
    while open_ones and len(done.rows) < most:
        for place in list(open_ones):
            parent = wanted[place][0]
            context, made = context_of(parent["messages"]), None
            for question, generator, how in offers[place] if len(done.rows) < most and room[place] else ():
                reason = gates.judge(parent, context, question, parent["correction"])
                if not reason:
                    made = make(parent, question, parent["correction"], generator, how)
                    break
                done.rejected[reason] += 1
            if made is None:
                open_ones.remove(place)
                continue
            gates.admit(context, made.messages[-1]["content"])
            done.rows.append(made)
            parents.add(place)
            room[place] -= 1
    done.parents = len(parents)


def _by_templates(
    wanted: Sequence[tuple[Mapping[str, Any], int]], accepted: Sequence[Mapping[str, Any]], lexicon: frozenset[str]
) -> list[Offers]:
    frames = templates.Frames(accepted, lexicon)

    def offers(parent: Mapping[str, Any]) -> Offers:
        for question, frame in frames.questions(parent["prompt"]):
            yield question, templates.GENERATOR, {"frame": frame}

    return [offers(parent) for parent, _ in wanted]


def _by_model(
    wanted: Sequence[tuple[Mapping[str, Any], int]], writer: paraphrases.Writer, done: Expansion
) -> list[Offers]:
    done.requests = len(wanted)
    made: list[Offers] = []
    for reply in writer.write(paraphrases.ask(wanted)):
        questions = paraphrases.read_questions(reply)
        if questions is None:
            done.rejected[UNREADABLE] += 1
        made.append(iter([(question, writer.name, writer.parameters) for question in questions or ()]))
    return made


def expand_thin_clusters(
    candidates: str,
    synthetic: str,
    page: str,
    run_id: str,
    golden: str = "",
    min_size: int = 20,
    per_parent: int = 3,
    max_share: float = 0.1,
    writer: paraphrases.Writer | None = None,
    max_requests: int = 200,
) -> StepRecord:
    """Write synthetic rows for the thin clusters of a run.

    Args:
        candidates: Path of a candidate snapshot.
        synthetic: Path of the JSON lines to write (`rows.SyntheticRow`).
        page: Path of the Markdown page to write.
        run_id: Run.
        golden: JSON lines of evaluation items, none of which may be asked in training; "" for none.
        min_size: Accepted corrections from which a cluster is not thin; 0 expands nothing.
        per_parent: Most rows from one correction.
        max_share: Greatest share of synthetic rows among corrections and synthetic rows together, in [0, 1).
        writer: Model that paraphrases; None expands by templates.
        max_requests: Most questions to the writer.

    Raises:
        ValueError: The snapshot or a parameter is not valid.
    """
    import pyarrow.compute as pc

    from flywheel.components.curation.texts import entity_lexicon
    from flywheel.components.store import delta_table

    started = datetime.now(UTC)
    snapshot = CandidateSnapshot.read(candidates)
    rows = delta_table.read(snapshot.candidates, where=pc.field("run_id") == snapshot.run_id).to_pylist()
    rows.sort(key=lambda row: row["candidate_id"])
    accepted = [row for row in rows if row["route"] == "accept"]
    texts = {text for row in rows for text in (row["prompt"], row["response"], row["correction"])}
    known = [(context_of(row["messages"]), row["prompt"]) for row in rows]
    known += [(context, question) for context, question, _ in read_trusted(golden)]
    done = expand(accepted, known, entity_lexicon.build(texts), min_size, per_parent, max_share, writer, max_requests)
    write(done.rows, synthetic)
    Path(page).parent.mkdir(parents=True, exist_ok=True)
    Path(page).write_text(_page(done, {row["candidate_id"]: row for row in accepted}), encoding="utf-8")
    duplicates = sum(done.rejected[reason] for reason in _DUPLICATES)
    rejected = {reason: count for reason, count in sorted(done.rejected.items()) if reason not in _DUPLICATES}
    share = len(done.rows) / max(1, len(done.rows) + len(accepted))
    return record(
        "expand_thin_clusters",
        run_id,
        started,
        RowCounts(
            rows_in=len(done.rows) + done.rejected.total(),
            accepted=len(done.rows),
            duplicates=duplicates,
            quarantined=rejected,
        ),
        {
            "thin_clusters": len(done.thin),
            "synthetic_rows": len(done.rows),
            "synthetic_share": share,
            "parents": done.parents,
            "requests": done.requests,
        },
        {
            "thin": done.thin,
            "rejected": dict(sorted(done.rejected.items())),
            "generators": dict(sorted(Counter(row.generator for row in done.rows).items())),
            "min_size": min_size,
            "max_share": max_share,
        },
    )


def _page(done: Expansion, parents: Mapping[str, Mapping[str, Any]]) -> str:
    made = Counter(row.cluster_id for row in done.rows)
    lines = [
        "# Synthetic rows",
        "",
        f"{len(done.rows)} rows from {done.parents} corrections of thin clusters; every row is marked, trains only "
        "where its parent trains, and never evaluates.",
        "",
        "| cluster | about | corrections | synthetic |",
        "|---|---|---:|---:|",
    ]
    names = {row["cluster_id"]: row["cluster_name"] for row in parents.values()}
    lines += [f"| {name} | {_cell(names[name])} | {size} | {made[name]} |" for name, size in done.thin.items()]
    if done.rejected:
        lines += ["", "| rejected because | offers |", "|---|---:|"]
        lines += [f"| {reason} | {count} |" for reason, count in sorted(done.rejected.items())]
    if done.rows:
        lines += ["", "| question of a user | synthetic question | by |", "|---|---|---|"]
        for row in done.rows[:_EXAMPLES]:
            asked = parents[row.parent_id]["prompt"]
            lines.append(f"| {_cell(asked)} | {_cell(row.messages[-1]['content'])} | {_cell(row.generator)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str, width: int = 140) -> str:
    short = " ".join(text.split())
    short = short if len(short) <= width else short[: width - 1] + "…"
    for character in "\\`*_[]<>|#":
        short = short.replace(character, {"<": "&lt;", ">": "&gt;"}.get(character, "\\" + character))
    return short
