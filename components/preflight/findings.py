"""What a look at the surroundings found: each line says what is there, what is missing, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["ready", "missing", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        what: What was looked for, for example `right: create trainjobs.trainer.kubeflow.org`.
        state: `ready`; `missing`: the run would fail; `unknown`: this account may not look.
        words: What was found.
        remedy: What to do; empty when it is ready.
    """

    what: str
    state: State
    words: str = ""
    remedy: str = ""

    def line(self) -> str:
        """As one line for a person."""
        mark = {"ready": "ok     ", "missing": "MISSING", "unknown": "?      "}[self.state]
        words = f": {self.words}" if self.words else ""
        return f"{mark} {self.what}{words}" + (f"; {self.remedy}" if self.remedy else "")


class NotReadyError(ValueError):
    """Something that the run needs is missing; the message lists all of it."""


def demand(findings: Sequence[Finding]) -> None:
    """Refuse to start when anything is missing.

    Raises:
        NotReadyError: With every finding that is missing.
    """
    missing = [finding for finding in findings if finding.state == "missing"]
    if missing:
        lines = "\n".join(f"  - {finding.line()}" for finding in missing)
        raise NotReadyError(f"{len(missing)} of {len(findings)} things that the run needs are missing:\n{lines}")
