"""Arithmetic of one direction of a link: when do bytes that came at one time have left it at the other end?

    bytes ─► [ virtual clock: rate ] ─► the last one has left

A virtual clock (Zhang, SIGCOMM 1990) instead of a bucket that fills: there is no burst to be had for nothing, and a
timer that fires late costs no bandwidth, because the clock runs on from where the last byte left, not from now.
"""

import math

from offramp.units import BitsPerSecond, Seconds


class Pacer:
    """Pure: every time is given, in seconds of one monotonic clock."""

    def __init__(self, rate: BitsPerSecond) -> None:
        self.rate = rate
        self._free_at = -math.inf
        self._waiting_bits = 0.0  # only while the rate is 0: what has been given and not yet left

    @property
    def free_at(self) -> Seconds:
        """When the last byte given so far has left; infinite in an outage with bytes waiting."""
        return Seconds(math.inf if self._waiting_bits else self._free_at)

    def give(self, nbytes: int, ready: Seconds) -> None:
        """Bytes that have been ready for the link since `ready`."""
        if self.rate <= 0:
            self._waiting_bits += 8 * nbytes
        else:
            self._free_at = max(self._free_at, ready) + 8 * nbytes / self.rate

    def change(self, rate: BitsPerSecond, now: Seconds) -> None:
        """What has not left by now leaves at the new rate."""
        left = self._waiting_bits
        if self.rate > 0 and self._free_at > now:
            left = (self._free_at - now) * self.rate
        self.rate, self._waiting_bits = rate, 0.0
        if rate <= 0:
            self._waiting_bits = left
            self._free_at = min(self._free_at, now)
        elif left:
            self._free_at = now + left / rate
