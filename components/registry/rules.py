"""The rules that every registry keeps, whatever it stands on.

What a repeated registration may change, and the words in which something is refused.
"""

from flywheel.components.registry.errors import (
    AliasMovedError,
    LeaseHeldError,
    LeaseLostError,
    NotRegisteredError,
    VersionConflictError,
)
from flywheel.components.registry.records import Event, Lease, ModelVersion, NewVersion

LINEAGE = ("base_digest", "dataset_digest", "code_version", "method")


def registered_again(known: ModelVersion, new: NewVersion) -> ModelVersion:
    """Put a repeated registration of the same weights together with what is known of them.

    Args:
        known: The version.
        new: What is registered now.

    Returns:
        The version with the newer place, and with run, metrics and verdict where they were given.

    Raises:
        VersionConflictError: The lineage differs.
    """
    changed = [name for name in LINEAGE if getattr(known, name) != getattr(new, name)]
    if changed:
        told = ", ".join(f"{name}: {getattr(known, name)!r} then, {getattr(new, name)!r} now" for name in changed)
        raise VersionConflictError(
            f"{new.name} version {known.version} has the same weights (digest {new.digest[:12]}) and another "
            f"lineage ({told}); one of the two manifests is wrong"
        )
    fresh = {**known.model_dump(), "uri": new.uri}
    if new.run_id:
        fresh["run_id"] = new.run_id
    if new.metrics:
        fresh["metrics"] = new.metrics
    if new.decision:  # registering without a verdict must not wipe one out
        fresh.update(decision=new.decision, evidence=new.evidence)
    return ModelVersion(**fresh)


def registration_event(version: ModelVersion, kind: str, who: str) -> Event:
    """Return the event of a registration."""
    return Event(
        name=version.name,
        kind=kind,
        who=who,
        reason=f"verdict {version.decision}" if version.decision else "",
        version=version.version,
        evidence=version.evidence,
        run_id=version.run_id,
    )


def check_ttl(ttl_s: float) -> None:
    """Refuse a lease that would be over at once.

    Raises:
        ValueError: The time is not positive.
    """
    if ttl_s <= 0:
        raise ValueError(f"a lease must live for more than 0 s, got {ttl_s}")


def not_registered(name: str, version: int) -> NotRegisteredError:
    """Say that there is no such version."""
    return NotRegisteredError(f"{name} has no version {version}; `flywheel registry list` shows those there are")


def alias_moved(name: str, alias: str, actual: int | None, expected: int | None) -> AliasMovedError:
    """Say that an alias does not point where it was expected."""
    there, wanted = ("nothing" if number is None else f"version {number}" for number in (actual, expected))
    return AliasMovedError(
        f"{name}@{alias} points to {there}, not to {wanted} as expected: another run or person moved it in the "
        "meantime. Nothing was changed; look at `flywheel registry show` and decide again"
    )


def lease_held(lease: Lease) -> LeaseHeldError:
    """Say who holds a lease."""
    return LeaseHeldError(
        f"{lease.resource} is being changed by {lease.holder} (until {lease.expires_at.isoformat()} unless renewed); "
        "wait for it or stop it, then try again"
    )


def lease_lost(lease: Lease) -> LeaseLostError:
    """Say that a lease is no longer held."""
    return LeaseLostError(
        f"the lease of {lease.resource} held by {lease.holder} (token {lease.token}) expired, was released or was "
        "taken over; nothing was changed"
    )
