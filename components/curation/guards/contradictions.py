"""Corrections of one question that cannot all be true: which side wins, and when people must decide.

The sides are the claims, and the answer that was given, for which later up-votes speak; users without a history have
no vote. If every voter is independently right with probability q = `VOTER_RIGHT` and the sides are equally likely
before, a side that leads all others together by d votes is wrong with probability 1 / (1 + (q / (1 - q))^d). A side
wins only when that is at most `WRONG_WINNER` and it has more than twice the votes of the others; else all of it goes to
review.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from flywheel.components.curation.guards.claim_support import Row, Support
from flywheel.components.curation.texts.claims import Claim

VOTER_RIGHT = 0.8
WRONG_WINNER = 0.02
_EXAMPLES = 50
_SHOWN = 120  # characters of an example
LEAST_LEAD = math.ceil(math.log((1 - WRONG_WINNER) / WRONG_WINNER) / math.log(VOTER_RIGHT / (1 - VOTER_RIGHT)))

Votes = dict[Claim | None, int]  # None: the answer that was given


def votes_of(answers: Mapping[Claim, Support], median_activity: float) -> Votes:
    """Count the users with a history behind each claim, and the up-voters of the answer that was given."""
    history = min(3, int(median_activity // 2))
    votes: Votes = {
        claim: sum(support.other_activity(subject) >= history for subject in support.at)
        for claim, support in answers.items()
    }
    votes[None] = len({subject for support in answers.values() for subject in support.endorsers})
    return votes


def winner(votes: Votes) -> tuple[Claim | None, bool]:
    """The side with most votes, and whether its lead is large enough to decide.

    Args:
        votes: Voters of each side.

    Returns:
        The leading side (None: the answer that was given) and True when it wins.
    """
    best = max(votes, key=lambda claim: (votes[claim], claim is not None, claim or ()))
    others = sum(votes.values()) - votes[best]
    return best, votes[best] >= others + LEAST_LEAD and votes[best] > 2 * others


def contested(votes: Votes) -> bool:
    """Whether there is more than one side."""
    return len(votes) > 2 or votes[None] > 0


def sides(
    question: str, answers: Mapping[Claim, Support], votes: Votes, rows: Sequence[Row], ids: Sequence[str]
) -> dict[str, Any]:
    """Describe a conflict for the people who decide it; users are counted, not named.

    Args:
        question: Id of the question.
        answers: Support of each claim.
        votes: Voters of each side.
        rows: The rows.
        ids: A name for each row, such as its candidate id.
    """
    first = rows[min(index for support in answers.values() for index in support.rows)]
    made = [
        {
            "claim": " ".join(claim),
            "example": rows[support.rows[0]]["correction"],
            "supporters": len(support.at),
            "voters": votes[claim],
            "rows": [ids[index] for index in support.rows[:_EXAMPLES]],
        }
        for claim, support in sorted(answers.items(), key=lambda item: (-len(item[1].at), item[0]))
    ]
    if votes[None]:
        made.append(
            {"claim": "", "example": first["response"], "supporters": votes[None], "voters": votes[None], "rows": []}
        )
    return {"question_id": question, "question": first["prompt"], "sides": made}


def in_words(conflict: Mapping[str, Any]) -> str:
    """A conflict of `sides` in one line: what is said, by how many users.

    Args:
        conflict: From `sides`.
    """
    told = []
    for side in conflict["sides"]:
        number = side["supporters"]
        said = f'"{" ".join(str(side["example"]).split())[:_SHOWN]}"'
        by = f"{number} user{'s' * (number != 1)}"
        told.append(f"{by} say{'s' * (number == 1)} {said}" if side["claim"] else f"{by} liked the answer as it was")
    return "; ".join(told)
