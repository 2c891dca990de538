"""Why the service says no: status, reason code, words, and when to come back."""


class Denied(Exception):
    """A request that is not taken on; the handler answers with it and counts it under `outcome`."""

    def __init__(self, status: int, reason: str, detail: str, outcome: str = "rejected", retry_after: int = 0) -> None:
        super().__init__(f"{reason}: {detail}")
        self.status = status
        self.reason = reason
        self.detail = detail
        self.outcome = outcome
        self.retry_after = retry_after  # seconds; 0: not worth a retry


def throttled(reason: str, detail: str, retry_after: int = 1) -> Denied:
    """Make a 429."""
    return Denied(429, reason, detail, "throttled", retry_after)


def unauthorized(reason: str, detail: str, status: int = 401) -> Denied:
    """Make a 401, or a 403 for somebody who is known and may not."""
    return Denied(status, reason, detail, "unauthorized")
