"""Halves of inferences that waited long enough: joined with a half that went to quarantine before, or kept there.

Nothing is dropped but what the store has already: a half that was sent again after its inference was joined.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from flywheel.components.intake.pseudonyms import Pseudonymizer
from flywheel.components.intake.service import half
from flywheel.components.intake.service.halves import Joined, quarantined
from flywheel.components.intake.service.scribe import RUN_ID
from flywheel.components.store import delta_table
from flywheel.components.store.tables import row_id

_OTHER = {"request": "response", "response": "request"}


def settle(
    store: str, overdue: Sequence[dict[str, Any]], pseudonyms: Pseudonymizer, longest_wait: float, result: Joined
) -> None:
    """Decide on lonely halves, and add the rows to `result`.

    Args:
        store: The feedback store, where the other half may be: in an interaction, or in quarantine.
        overdue: Lonely halves, at most one of each id and kind.
        pseudonyms: The store's keyed hash.
        longest_wait: Seconds that they waited, for the words.
        result: Rows are added here.

    Raises:
        StoreError: The store cannot be read; nothing was decided.
    """
    if not overdue:
        return
    joined = _joined(store, overdue)
    lonely = _lonely(store, overdue)
    for one in overdue:
        identity, kind = one["id"], one["half"]
        same = lonely.get((identity, kind))
        other = lonely.get((identity, _OTHER[kind]))
        if one["digest"] in joined.get(identity, ()) or (same and same["digest"] == one["digest"] and not other):
            continue  # sent again
        if identity in joined or (same and same["digest"] != one["digest"]):
            words = f"the {kind} of inference {identity} came with other content before; the first one stays"
            result.quarantine.append(quarantined(one, "conflicting_duplicate", words))
        elif other is not None:
            _join(one, other, pseudonyms, result)
        else:
            words = f"inference {identity}: only its {kind} came within {longest_wait:g} s"
            row = quarantined(one, f"{_OTHER[kind]}_missing", words)
            result.quarantine.append(row | {"quarantine_id": _lonely_id(identity, kind)})


def _join(one: dict[str, Any], other: dict[str, Any], pseudonyms: Pseudonymizer, result: Joined) -> None:
    request, response = (one, other) if one["half"] == "request" else (other, one)
    try:
        asked, said = half.interactions(request, response, RUN_ID, pseudonyms)
    except ValueError as error:
        result.quarantine.append(quarantined(one, "halves_differ", f"inference {one['id']}: {error}"))
        return
    result.interactions += asked
    result.feedback += said


def _joined(store: str, overdue: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Return inference id -> digests of its halves, for those that are interactions already."""
    names = {name: one["id"] for one in overdue for name in (one["id"], f"{one['id']}.0")}
    found = delta_table.lookup(
        delta_table.latest(store, "interactions"), sorted(names), ["interaction_id", "attributes"]
    ).to_pylist()
    return {
        names[row["interaction_id"]]: orjson.loads(row["attributes"]).get("intake", {}).get("halves", [])
        for row in found
    }


def _lonely(store: str, overdue: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    ids = [_lonely_id(one["id"], kind) for one in overdue for kind in _OTHER]
    found = delta_table.lookup(delta_table.latest(store, "quarantine"), sorted(ids), ["row"]).to_pylist()
    halves = [orjson.loads(row["row"])["half"] for row in found]
    return {(one["id"], one["half"]): one for one in halves}


def _lonely_id(identity: str, kind: str) -> str:
    return row_id("lonely half", identity, kind)
