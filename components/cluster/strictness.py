"""Refusing what the server would silently drop.

Servers before 1.25 ignore `fieldValidation=Strict`, and an older CRD of the same version name lacks newer fields: both
store the object without them, and hours later a job runs without its volume. So what was stored is compared.
"""

from typing import Any

from flywheel.components.cluster.errors import RejectedError
from flywheel.components.cluster.resources import Resource


def dropped_fields(sent: Any, stored: Any, path: str = "") -> list[str]:
    """List the paths that were sent and are not in what the server stored.

    Args:
        sent: Object as sent.
        stored: Object as the server gave it back.
        path: Where we are.
    """
    if isinstance(sent, dict):
        if not isinstance(stored, dict):
            return [path] if sent else []
        lost = []
        for key, value in sent.items():
            here = f"{path}.{key}" if path else key
            if key not in stored:
                lost += [] if value is None else [here]
            else:
                lost += dropped_fields(value, stored[key], here)
        return lost
    if isinstance(sent, list):
        if not isinstance(stored, list) or len(stored) < len(sent):
            return [path]
        return [
            item
            for n, pair in enumerate(zip(sent, stored, strict=False))
            for item in dropped_fields(*pair, f"{path}[{n}]")
        ]
    return []


def refuse_dropped_fields(sent: Any, stored: Any, resource: Resource) -> None:
    """Raise when the server does not know a field that was sent.

    Raises:
        RejectedError: Names the fields and what to install.
    """
    if lost := dropped_fields(sent, stored):
        raise RejectedError(
            f"the cluster's {resource.kind} ({resource.api_version}) does not know the field{'s' * (len(lost) > 1)} "
            f"{', '.join(lost[:5])}; its CRD is older than needed: {resource.install or 'upgrade it'}",
            422,
        )
