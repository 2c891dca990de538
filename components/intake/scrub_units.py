"""Scrub the texts of a batch on an engine: records are cut into units, none of them in two, and each unit is scrubbed.

A record's placeholders are numbered within the record, or by a hash under its conversation's key, so how records are
cut into units changes nothing.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import orjson
import pyarrow as pa

from flywheel.components.intake.privacy.scrub import ScrubResult, scrub_texts
from flywheel.components.store.engine import Engine

_LEAST_TEXTS = 2000  # of a unit: fewer cost more in sending than in scrubbing
_COUNTS = b"flywheel.counts"


def scrub_on(engine: Engine, texts: Sequence[str], groups: Sequence[int], keys: Sequence[bytes]) -> ScrubResult:
    """Scrub texts as `scrub_texts` does.

    Args:
        engine: Where.
        texts: Any strings, also with lone surrogates.
        groups: A number per text that does not decrease, the same for the texts of one record.
        keys: A key per text: of the conversation's placeholders, or empty.
    """
    if engine.workers == 1:  # nobody to send units to, and sending them takes a fifth of the time
        return scrub_texts(texts, groups, keys=keys)
    result = ScrubResult([], Counter())
    for done in engine.map(scrub_unit, list(_units(texts, groups, keys, engine.workers))):
        result.texts.extend(done["text"].to_pylist())
        result.counts.update(orjson.loads(done.schema.metadata[_COUNTS]))
    return result


def scrub_unit(unit: pa.Table) -> pa.Table:
    """Scrub the texts of some records.

    Args:
        unit: Columns `text` (bytes of UTF-8, lone surrogates passed through), `group` and `key`.

    Returns:
        Column `text` (string) in the same order; what was replaced, by kind, in the schema's metadata.
    """
    texts = [text.decode("utf-8", "surrogatepass") for text in unit["text"].to_pylist()]
    result = scrub_texts(texts, unit["group"].to_pylist(), keys=unit["key"].to_pylist())
    counts = orjson.dumps(dict(result.counts))
    return pa.table({"text": pa.array(result.texts, pa.large_string())}).replace_schema_metadata({_COUNTS: counts})


def _units(texts: Sequence[str], groups: Sequence[int], keys: Sequence[bytes], workers: int) -> Iterator[pa.Table]:
    size = max(_LEAST_TEXTS, -(-len(texts) // workers))
    start = 0
    while start < len(texts):
        end = min(start + size, len(texts))
        while end < len(texts) and groups[end] == groups[end - 1]:
            end += 1
        held = [text.encode("utf-8", "surrogatepass") for text in texts[start:end]]
        yield pa.table(
            {
                "text": pa.array(held, pa.large_binary()),
                "group": pa.array(groups[start:end], pa.int64()),
                "key": pa.array(keys[start:end], pa.binary()),
            }
        )
        start = end
