"""The step record of a registry step: which version it was about and where the aliases point afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.registry.overview import aliases
from flywheel.components.registry.records import ModelVersion
from flywheel.components.registry.registry import Registry


@dataclass
class RegistryStep:
    """What a step says about itself while it runs."""

    registry: Registry
    outcome: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    def about(self, version: ModelVersion, outcome: str, reason: str = "") -> None:
        """Say which version the step was about and how it ended."""
        self.outcome = outcome
        self.metrics = dict(version.metrics)
        self.details.update(version=str(version.version), digest=version.digest, uri=version.uri, reason=reason)


@contextmanager
def recorded(name: str, store: str, run_id: str, registry: Registry, model_name: str) -> Iterator[RegistryStep]:
    """Write the step's record into the store when the block ends well.

    Args:
        name: Step name.
        store: URI of the feedback store.
        run_id: Run of the step.
        registry: The registry.
        model_name: Name of the model in the registry.

    Yields:
        The step, to be told what it did.
    """
    from flywheel.components.store import lineage

    started = datetime.now(UTC)
    step = RegistryStep(registry)
    yield step
    lineage.record_step(
        store,
        StepRecord(
            run_id=run_id,
            step=name,
            started_at=started,
            finished_at=datetime.now(UTC),
            outcome=step.outcome,
            metrics=step.metrics,
            details={**step.details, "model": model_name, "aliases": aliases(registry, model_name)},
        ),
    )
