"""The interface of a model registry. Adapters must pass tests/registry/test_contract.py."""

from collections.abc import Sequence
from typing import Protocol

from flywheel.components.registry.records import (
    Alias,
    AliasMove,
    Event,
    Lease,
    ModelVersion,
    NewVersion,
    RecordedEvent,
)


class Registry(Protocol):
    """Versions of models, aliases moved by compare-and-set, an audit trail, and one lease per served model."""

    def register(self, new: NewVersion, who: str) -> ModelVersion:
        """Register a model; the same digest again returns the version that exists.

        A repeated registration may bring a newer place (`uri`), run, metrics and verdict; lineage (base, dataset,
        code, method) never changes.

        Args:
            new: The model.
            who: Step, person or service that registers.

        Returns:
            The version with its number, 1 for the first of its name.

        Raises:
            VersionConflictError: The digest is registered with another lineage.
        """
        ...

    def get(self, name: str, version: int) -> ModelVersion:
        """Return a version.

        Raises:
            NotRegisteredError: There is no such version.
        """
        ...

    def find_by_digest(self, name: str, digest: str) -> ModelVersion | None:
        """Return the version with this digest, or None."""
        ...

    def list_versions(self, name: str | None = None) -> list[ModelVersion]:
        """Return the versions of a model (None: of all models), oldest first."""
        ...

    def get_alias(self, name: str, alias: Alias) -> int | None:
        """Return the version that an alias points to, or None."""
        ...

    def set_alias(
        self,
        name: str,
        moves: Sequence[AliasMove],
        who: str,
        reason: str,
        evidence: str = "",
        run_id: str = "",
        fence: Lease | None = None,
    ) -> None:
        """Move aliases, all of them or none, each only from where it is expected (compare-and-set).

        Every move that changes something is an event with who, why, from where and on what evidence.

        Args:
            name: Model.
            moves: Aliases with target and expected present version.
            who: Step, person or service that moves.
            reason: Why, in words.
            evidence: Digest of what the decision rests on.
            run_id: Run that moves.
            fence: Lease under which the move happens; refused when it is no longer the newest.

        Raises:
            AliasMovedError: An alias points elsewhere; nothing was moved.
            NotRegisteredError: A target version does not exist; nothing was moved.
            LeaseLostError: The fence is stale; nothing was moved.
        """
        ...

    def record(self, event: Event) -> None:
        """Add an event to the audit trail."""
        ...

    def history(self, name: str) -> list[RecordedEvent]:
        """Return the audit trail of a model, oldest first."""
        ...

    def acquire_lease(self, resource: str, holder: str, ttl_s: float) -> Lease:
        """Take the lease of a served model, or take it over when it has expired.

        The same holder gets it again at once with a higher token, so that a killed step can go on when it is retried.

        Args:
            resource: Served model, for example `service/assistant`.
            holder: Who holds it, for example the run id.
            ttl_s: Seconds until it expires by itself.

        Raises:
            LeaseHeldError: Another holder has it; the message says who and until when.
        """
        ...

    def renew_lease(self, lease: Lease, ttl_s: float) -> Lease:
        """Extend a lease by `ttl_s` seconds from now; the token stays.

        Raises:
            LeaseLostError: It expired or was taken over.
        """
        ...

    def release_lease(self, lease: Lease) -> None:
        """Give a lease back; one that is no longer held is left as it is."""
        ...
