"""The contract on candidates: the corrections that curation hands on to become training data."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from flywheel.components.validation import personal_data
from flywheel.components.validation.contract import expect

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.expectations import Expectation

SUITE = "candidates"
KEY = "candidate_id"

CATEGORIES = ("factual", "tone", "clarity")
ROUTES = ("accept", "review", "discard")
MAX_CHARACTERS = 32_768
CLOCK_SKEW = timedelta(days=1)  # as much as intake forgives a client's clock

# Routing lets one subject alone stand behind 2 % of what is accepted, but corrections that others made too do not count
# there. The contract is wider and counts them all: it catches a cap that did not work at all.
MAX_SHARE_PER_SUBJECT = 0.1
FREE_PER_SUBJECT = 10  # a small set cannot keep a share: so many rows of one subject are always allowed

PSEUDONYM = r"^[0-9a-f]{32}$"  # what intake's keyed hash gives; no name, address or number looks like that


def project(candidates: pa.Table) -> "pd.DataFrame":
    """Project candidates to what the suite looks at: texts become flags and lengths, blank ids become null.

    What concerns only rows that will train is null in the other rows, and expectations pass over nulls.

    Args:
        candidates: Rows of the candidates table.

    Returns:
        One row per candidate.
    """
    import pandas as pd

    rows = candidates.to_pylist()
    accepted_of = Counter(row["subject"] for row in rows if row["route"] == "accept")

    def of_accepted(value: Callable[[dict[str, Any]], Any]) -> list[Any]:
        return [value(row) if row["route"] == "accept" else None for row in rows]

    ids = ("candidate_id", "interaction_id", "subject", "group_id", "category", "route")
    columns: dict[str, list[Any]] = {name: [row[name] or None for row in rows] for name in ids}
    columns |= {
        "confidence": [row["confidence"] for row in rows],
        "timestamp": [row["timestamp"] for row in rows],
        "prompt_blank": [not row["prompt"].strip() for row in rows],
        "personal_data": [
            personal_data.flag(row["prompt"], row["messages"], row["response"], row["correction"], row["cluster_name"])
            for row in rows
        ],
        "reason_fits_route": [(row["route"] == "accept") == (row["reason"] == "") for row in rows],
        "correction_blank": of_accepted(lambda row: not row["correction"].strip()),
        "correction_changes_nothing": of_accepted(lambda row: row["correction"].split() == row["response"].split()),
        "longest_text": of_accepted(lambda row: max(len(row[n]) for n in ("prompt", "response", "correction"))),
        "accepted_of_subject": of_accepted(lambda row: accepted_of[row["subject"]]),
        "accepted": [int(row["route"] == "accept") for row in rows],
    }
    frame = pd.DataFrame(columns)
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True)
    numbers = ["longest_text", "accepted_of_subject", "confidence", "accepted"]
    return frame.astype(dict.fromkeys(numbers, "float64"))


def expectations(accepted: int, rows: int, now: datetime | None = None) -> "list[Expectation]":
    """List what must hold.

    Args:
        accepted: Rows that curation accepted; the cap per subject is a share of them.
        rows: Rows in all; an empty set passes, because the trigger holds it.
        now: Time, with zone, that no candidate may be later than; the clock's when None.

    Returns:
        Expectations, each with its check name in `meta`.
    """
    latest = (now or datetime.now(UTC)) + CLOCK_SKEW
    cap = max(FREE_PER_SUBJECT, int(MAX_SHARE_PER_SUBJECT * accepted))
    present = ("candidate_id", "interaction_id", "subject", "timestamp", "group_id", "confidence", "category", "route")
    between, in_set = "ExpectColumnValuesToBeBetween", "ExpectColumnValuesToBeInSet"
    suite = [
        expect("ExpectColumnValuesToNotBeNull", f"{name}_present", f"every row has a {name}", column=name)
        for name in present
    ]
    suite += [
        expect("ExpectColumnValuesToBeUnique", "ids_unique", "no candidate comes twice", column=KEY),
        expect(in_set, "category_known", f"one of {', '.join(CATEGORIES)}", column="category", value_set=CATEGORIES),
        expect(in_set, "route_known", f"one of {', '.join(ROUTES)}", column="route", value_set=ROUTES),
        expect(
            between, "confidence_in_bounds", "confidence is in [0, 1]", column="confidence", min_value=0, max_value=1
        ),
        expect(in_set, "prompt_not_blank", "every prompt has text", column="prompt_blank", value_set=[False]),
        expect(
            in_set,
            "correction_not_blank",
            "every accepted correction has text",
            column="correction_blank",
            value_set=[False],
        ),
        expect(
            in_set,
            "correction_differs",
            "an accepted correction differs from the response by more than spaces",
            column="correction_changes_nothing",
            value_set=[False],
        ),
        expect(
            between,
            "lengths_in_bounds",
            f"no text of an accepted row is longer than {MAX_CHARACTERS} characters",
            column="longest_text",
            max_value=MAX_CHARACTERS,
        ),
        expect(
            in_set,
            "no_personal_data",
            "no e-mail, phone, card, IBAN, SSN or public IP address is left in any text",
            column="personal_data",
            value_set=["none"],
        ),
        expect(
            in_set,
            "reason_fits_route",
            "rows that were not accepted say why, accepted ones have no reason",
            column="reason_fits_route",
            value_set=[True],
        ),
        expect(
            between,
            "not_in_future",
            f"no row is later than {latest:%F %H:%M} UTC",
            column="timestamp",
            max_value=latest,
        ),
        expect(
            "ExpectColumnValuesToMatchRegex",
            "subject_is_pseudonym",
            "subjects look like keyed hashes",
            column="subject",
            regex=PSEUDONYM,
            hidden=True,
        ),
        expect(
            between,
            "subject_share_capped",
            f"no subject has more than {cap} of the {accepted} accepted rows",
            column="accepted_of_subject",
            max_value=cap,
        ),
    ]
    if rows:
        suite.append(
            expect(
                "ExpectColumnSumToBeBetween",
                "some_accepted",
                "at least one row was accepted",
                column="accepted",
                min_value=1,
                severity="warning",  # nothing is wrong with the data: the trigger holds and says what is missing
            )
        )
    return suite
