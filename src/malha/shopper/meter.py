"""How many pages one network address may ask of one process: more than people do, fewer than a machine would.

A bucket per address that fills up again with time. A whole town may share an address, so it is wide; what has to stop
guessing is `identity.guessing`, which counts in the database.
"""

import math
from collections import OrderedDict


class Meter:
    """Buckets by address; the longest unused are forgotten."""

    def __init__(self, *, burst: int = 120, per_minute: int = 120, remembered: int = 10_000) -> None:
        self._burst = float(burst)
        self._per_second = per_minute / 60
        self._remembered = remembered
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and when that was so

    def take(self, address: str, at: float) -> int:
        """Take one page; return 0, or after how many seconds to ask again. `at` is a monotonic time in seconds."""
        left, then = self._buckets.pop(address, (self._burst, at))
        left = min(self._burst, left + (at - then) * self._per_second)
        granted = left >= 1
        self._buckets[address] = (left - 1 if granted else left, at)
        if len(self._buckets) > self._remembered:
            self._buckets.popitem(last=False)
        return 0 if granted else math.ceil((1 - left) / self._per_second)
