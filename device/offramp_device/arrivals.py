"""How often samples arrive, and whether in step: moving averages over the last twenty. Pure."""

from offramp.units import Seconds

WEIGHT = 0.1
"""Of the newest gap."""
REGULAR = 0.25
"""Squared coefficient of variation of the gaps up to which arrivals are in step; a camera's is 0, random ones' 1."""
STOPPED = 3.0
"""Usual gaps without an arrival, after which the silence itself says how rare they have become."""


class Arrivals:
    """Of samples that wait for nobody. A source that can wait has no rate: it takes what the device gives."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._gap = self._square = 0.0
        self._gaps = 0

    def note(self, arrival: Seconds) -> None:
        """A sample was due at this time."""
        last, self._last = self._last, max(arrival, self._last or arrival)
        if last is None:
            return
        gap = max(arrival - last, 0.0)
        self._gaps += 1
        # The first few count alike.
        weight = max(WEIGHT, 1 / self._gaps)
        self._gap += weight * (gap - self._gap)
        self._square += weight * (gap * gap - self._square)

    def rate(self, now: Seconds) -> float:
        """Samples a second; 0 when there are none, or only such as wait."""
        if self._last is None or self._gap <= 0:
            return 0.0
        silence = now - self._last
        return 1 / (silence if silence > STOPPED * self._gap else self._gap)

    @property
    def regular(self) -> bool:
        return self._square - self._gap**2 <= REGULAR * self._gap**2
