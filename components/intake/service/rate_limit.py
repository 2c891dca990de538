"""Token buckets, one per sender."""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass

from flywheel.components.intake.service.refusals import Denied, throttled

_SENDERS = 10_000  # remembered; the one that was silent longest is forgotten first


@dataclass
class _Bucket:
    tokens: float
    at: float


class RateLimiter:
    """Allows `rate` events per second on average and `burst` at once."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, sender: str, rate: float, burst: float, events: int, now: float | None = None) -> None:
        """Take tokens for events.

        Args:
            sender: Who sends.
            rate: Events per second; 0: unlimited.
            burst: Most events at once; 0: twice the rate, at least one.
            events: Tokens wanted.
            now: Monotonic seconds; None for the clock.

        Raises:
            Denied: 429 with the seconds until there are enough; 413 when there will never be.
        """
        if rate <= 0:
            return
        size = burst or max(2 * rate, 1.0)
        moment = time.monotonic() if now is None else now
        if events > size:
            raise Denied(413, "batch_over_rate", f"{events} events at once; this sender may send {size:g} at once")
        bucket = self._buckets.setdefault(sender, _Bucket(size, moment))
        self._buckets.move_to_end(sender)
        if len(self._buckets) > _SENDERS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(size, bucket.tokens + (moment - bucket.at) * rate)
        bucket.at = moment
        if bucket.tokens < events:
            wait = max(1, math.ceil((events - bucket.tokens) / rate))
            raise throttled("rate_limited", f"this sender may send {rate:g} events per second", wait)
        bucket.tokens -= events
