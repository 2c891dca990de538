"""Go back: production moves to an earlier version by compare-and-set."""

from flywheel.components.registry.errors import RegistryError
from flywheel.components.registry.records import Alias, AliasMove, Lease, ModelVersion
from flywheel.components.registry.registry import Registry


def roll_back(
    registry: Registry,
    name: str,
    who: str,
    reason: str,
    version: int | None = None,
    run_id: str = "",
    fence: Lease | None = None,
) -> ModelVersion:
    """Make `previous` (or a named version that was production before) production again.

    `previous` is cleared: it would point at the version just left, and a second rollback would bring that one back.

    Args:
        registry: The registry.
        name: Model name.
        who: Step or person.
        reason: Why, in words.
        version: Version to go back to; None: the alias `previous`.
        run_id: Run that rolls back.
        fence: Lease under which the move happens.

    Returns:
        The version that is production now.

    Raises:
        RegistryError: There is nothing to go back to, or the version never was production.
        AliasMovedError: Someone else moved production at the same time.
        NotRegisteredError: There is no such version.
    """
    current = registry.get_alias(name, Alias.PRODUCTION)
    previous = registry.get_alias(name, Alias.PREVIOUS)
    target = previous if version is None else version
    served = {
        event.version for event in registry.history(name) if event.kind == "alias" and event.alias == Alias.PRODUCTION
    }
    if target is None:
        raise RegistryError(
            f"{name} has no previous production version to go back to; name one with --version "
            f"(was production before: {', '.join(str(v) for v in sorted(v for v in served if v)) or 'none'})"
        )
    chosen = registry.get(name, target)
    if target not in served:
        raise RegistryError(f"{name} version {target} never was production; a rollback cannot skip the gauntlet")
    if target == current:
        raise RegistryError(f"{name} version {target} is production already")
    moves = [
        AliasMove(alias=Alias.PRODUCTION, version=target, expected=current),
        AliasMove(alias=Alias.PREVIOUS, version=None, expected=previous),
    ]
    registry.set_alias(name, moves, who, reason, run_id=run_id, fence=fence)
    return chosen
