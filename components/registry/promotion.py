"""Move `production` to a version that earned it, or withdraw a candidate that did not."""

from flywheel.components.contracts.verdict import Decision
from flywheel.components.registry.errors import RegistryError
from flywheel.components.registry.records import Alias, AliasMove, Event, Lease, ModelVersion
from flywheel.components.registry.registry import Registry


def promote(
    registry: Registry,
    name: str,
    version: int,
    expected: int | None,
    who: str,
    reason: str,
    run_id: str = "",
    fence: Lease | None = None,
) -> ModelVersion:
    """Make a version production, if `expected` still is; the old production becomes `previous`.

    Both aliases and the cleared `candidate` move in one transaction. Doing it again after success changes nothing.

    Args:
        registry: The registry.
        name: Model name.
        version: Version to promote; its verdict must be `promote`.
        expected: Version that production must still point to.
        who: Step or person.
        reason: Why, in words.
        run_id: Run that promotes.
        fence: Lease under which the move happens.

    Returns:
        The version that is production now.

    Raises:
        AliasMovedError: Production moved in the meantime.
        RegistryError: The version has no verdict `promote`.
        NotRegisteredError: There is no such version.
    """
    chosen = registry.get(name, version)
    current = registry.get_alias(name, Alias.PRODUCTION)
    if current == version:
        return chosen
    if chosen.decision != Decision.PROMOTE:
        found = f"the verdict {chosen.decision!r}" if chosen.decision else "no verdict"
        raise RegistryError(
            f"{name} version {version} has {found}; only a version that the gauntlet said `promote` of becomes "
            "production. To go back to an earlier production use `flywheel registry rollback`"
        )
    moves = [AliasMove(alias=Alias.PRODUCTION, version=version, expected=expected)]
    moves.append(AliasMove(alias=Alias.PREVIOUS, version=expected, expected=registry.get_alias(name, Alias.PREVIOUS)))
    if registry.get_alias(name, Alias.CANDIDATE) == version:
        moves.append(AliasMove(alias=Alias.CANDIDATE, version=None, expected=version))
    registry.set_alias(name, moves, who, reason, chosen.evidence, run_id, fence)
    return chosen


def withdraw(registry: Registry, name: str, version: int, who: str, reason: str, run_id: str = "") -> int | None:
    """Take a version out of the running: `candidate` no longer points to it, production stays as it is.

    Args:
        registry: The registry.
        name: Model name.
        version: Version that was tried.
        who: Step or person.
        reason: Why, in words.
        run_id: Run that withdraws.

    Returns:
        The version that is production.

    Raises:
        RegistryError: The version is production; that needs a rollback.
        NotRegisteredError: There is no such version.
    """
    registry.get(name, version)
    current = registry.get_alias(name, Alias.PRODUCTION)
    if current == version:
        raise RegistryError(
            f"{name} version {version} is production and cannot be withdrawn; use `flywheel registry rollback`"
        )
    if registry.get_alias(name, Alias.CANDIDATE) == version:
        registry.set_alias(
            name, [AliasMove(alias=Alias.CANDIDATE, version=None, expected=version)], who, reason, run_id=run_id
        )
    done = any(
        event.kind == "withdrawn" and event.version == version and event.run_id == run_id and event.reason == reason
        for event in registry.history(name)
    )
    if not (done and run_id):  # a retried step tells it once
        registry.record(
            Event(name=name, kind="withdrawn", who=who, reason=reason, version=version, previous=current, run_id=run_id)
        )
    return current
