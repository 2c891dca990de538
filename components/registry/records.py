"""What a registry keeps: versions, alias moves, events and leases. Immutable and rendered as JSON."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from flywheel.components.contracts.document import Document

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"


class Alias(StrEnum):
    """Names that point to one version of a model."""

    PRODUCTION = "production"
    CANDIDATE = "candidate"
    PREVIOUS = "previous"


class NewVersion(Document):
    """What is known about a model when it is registered; `digest` is its identity."""

    name: str = Field(pattern=NAME_PATTERN)
    digest: str = Field(min_length=1)  # of weights, tokenizer and config
    uri: str = Field(min_length=1)  # local folder or object store
    base_digest: str = ""
    dataset_digest: str = ""
    table_version: int | None = None  # of the store's candidates table
    code_version: str = ""
    method: str = ""
    run_id: str = ""
    metrics: dict[str, float] = Field(default_factory=dict)
    decision: str = ""  # the verdict's decision; "" when no verdict was asked for
    evidence: str = ""  # digest of the scores that the verdict rests on


class ModelVersion(NewVersion):
    """A registered version."""

    version: int = Field(ge=1)
    created_at: datetime


class AliasMove(Document):
    """One alias to move: only if it points to `expected` now (None: the alias is not set)."""

    alias: Alias
    version: int | None  # None clears the alias
    expected: int | None


class Event(Document):
    """One line of the audit trail."""

    name: str = Field(pattern=NAME_PATTERN)
    kind: str = Field(min_length=1)  # registered, verdict, alias, resolved, withdrawn, ...
    who: str = Field(min_length=1)  # step, person or service that acted
    reason: str = ""
    version: int | None = None
    alias: str = ""
    previous: int | None = None  # where the alias pointed before
    evidence: str = ""  # digest of what the decision rests on
    run_id: str = ""


class RecordedEvent(Event):
    """An event with its place in the history."""

    number: int
    at: datetime


class Lease(Document):
    """The right to change one served model until `expires_at`.

    `token` grows with every acquisition; a write that carries an older token than the newest is refused (fencing),
    so a holder that slept through its expiry can do no harm.
    """

    resource: str
    holder: str
    token: int
    expires_at: datetime
