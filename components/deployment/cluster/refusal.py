"""Why a rollout on KServe is refused, lost or not settled; each error has a stable reason code."""


class RolloutRefusedError(ValueError):
    """The service cannot be rolled out on as it is; nothing was changed.

    Attributes:
        reason: Stable code.
    """

    def __init__(self, reason: str, message: str):
        super().__init__(f"{reason}: {message}")
        self.reason = reason


class RolloutLostError(RuntimeError):
    """Somebody else changed or finished this rollout; this process must touch nothing any more."""

    reason = "ROLLOUT_LOST"


class NotSettledError(RuntimeError):
    """The decision is written into the cluster, but KServe has not carried it out in time; running again waits on."""

    reason = "NOT_SETTLED"
