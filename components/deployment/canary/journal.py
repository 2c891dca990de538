"""The working folder of a rollout: turns and state on disk after each look, so that a killed step goes on."""

import os
from collections.abc import Sequence
from pathlib import Path

from flywheel.components.contracts.rollout import RolloutState
from flywheel.components.deployment.canary.turn import Turn


class Journal:
    """Turns (append-only JSON lines) and state (replaced atomically) of one rollout.

    The state is written after the turns it rests on, so after a crash there may be turns too many, never too few;
    `read` cuts what the last look did not see.

    Args:
        folder: Working folder; created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._turns = folder / "turns.jsonl"
        self._state = folder / "state.json"

    def read(self) -> tuple[RolloutState | None, list[Turn]]:
        """Read what an earlier attempt left.

        Returns:
            Its state (None: there was none) and the turns that its last look saw.

        Raises:
            ValueError: The files are damaged beyond a torn last line.
        """
        if not self._state.is_file():
            self._turns.unlink(missing_ok=True)
            return None, []
        state = RolloutState.read(self._state)
        seen = sum(state.looks[-1].requests.values()) if state.looks else 0
        lines = self._turns.read_bytes().splitlines(keepends=True)[:seen] if self._turns.is_file() else []
        turns = [Turn.model_validate_json(line) for line in lines]
        if len(turns) < seen:
            raise ValueError(f"{self._turns} holds {len(turns)} turns, but the last look saw {seen}: remove the folder")
        with self._turns.open("wb") as file:
            file.writelines(lines)
        return state, turns

    def clear(self) -> None:
        """Forget another rollout's state and turns; the state goes first, for without it turns mean nothing."""
        self._state.unlink(missing_ok=True)
        self._turns.unlink(missing_ok=True)

    def write(self, state: RolloutState, new: Sequence[Turn]) -> None:
        """Append the new turns, then replace the state."""
        if new:
            with self._turns.open("ab") as file:
                file.writelines(turn.model_dump_json().encode() + b"\n" for turn in new)
                file.flush()
                os.fsync(file.fileno())
        state.write(self._state)
