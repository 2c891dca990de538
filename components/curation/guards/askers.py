"""Who was given an answer: the users who could have corrected it, whether they did or not.

That of sixty people who read an answer fifteen correct it says something else than that of one hundred and fifty
do; the guards weigh a claim by this share. A key is one fact with its answer, or one question with its answer where no
fact can be told (`claims.key_of`).
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.curation.texts.claims import key_of
from flywheel.components.curation.texts.normal_form import normal_form, question_form

LastAsked = Mapping[Hashable, Mapping[str, datetime]]  # key -> subject -> the last time that the answer was given


def last_asked(
    interactions: pa.Table, responses: Collection[str], lexicon: frozenset[str], contexts: Sequence[str]
) -> dict[Hashable, dict[str, datetime]]:
    """Find the users who got the answers that somebody corrected.

    Args:
        interactions: Rows of the store's `interactions` table.
        responses: The corrected answers, as they were given; other answers are not looked at.
        lexicon: Names of the corpus.
        contexts: What was said before each interaction's question (`corrections.context_of`), in the table's order.
    """
    place = pa.array(range(interactions.num_rows), pa.int64())
    table = interactions.select(["subject", "timestamp", "prompt", "response"]).append_column("place", place)
    wanted = table.filter(pc.is_in(table["response"], pa.array(sorted(set(responses)), pa.string())))
    found: dict[Hashable, dict[str, datetime]] = defaultdict(dict)
    for row in wanted.to_pylist():
        forms = normal_form(contexts[row["place"]]), question_form(row["prompt"]), normal_form(row["response"])
        key = key_of(*forms, lexicon)[0]
        known = found[key].get(row["subject"])
        found[key][row["subject"]] = row["timestamp"] if known is None else max(known, row["timestamp"])
    return dict(found)


class Askers:
    """The users who got any answer of one question, by the last time."""

    def __init__(self, found: Sequence[Mapping[str, datetime]], correctors: Collection[str]) -> None:
        last: dict[str, datetime] = {}
        for times in found:
            for subject, at in times.items():
                last[subject] = max(last.get(subject, at), at)
        self._others = sorted(at for subject, at in last.items() if subject not in set(correctors))
        self._correctors = len(set(correctors))

    def since(self, time: datetime) -> int:
        """Users who corrected the question at any time or got its answer at or after `time`."""
        return self._correctors + self.silent_after(time)

    def silent_after(self, time: datetime) -> int:
        """Users who never corrected the question and got its answer at or after `time`."""
        return len(self._others) - bisect_left(self._others, time)
