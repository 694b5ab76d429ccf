"""How long the model takes for a batch, learnt from the batches that ran."""

from collections.abc import Hashable

from offramp.units import Seconds

_RISE = 0.1
"""Share of a slower time that is believed at once. A faster one is believed whole: it was possible."""
_DOUBT = 0.9
_MAX_GROUPS = 1024
"""Past that the one that was met first is forgotten: peers choose the exits of their tails."""


class Costs:
    """Seconds per (group, batch size)."""

    def __init__(self) -> None:
        self._seconds: dict[Hashable, dict[int, float]] = {}

    def observe(self, group: Hashable, size: int, duration: Seconds) -> None:
        known = self._seconds.setdefault(group, {})
        if len(self._seconds) > _MAX_GROUPS:
            del self._seconds[next(iter(self._seconds))]
        old = known.get(size)
        known[size] = duration if old is None or duration < old else old + _RISE * (duration - old)

    def estimate(self, group: Hashable, size: int) -> Seconds:
        """Seconds for a batch of this size; 0 for a group that never ran.

        A size that never ran is scaled up from the next smaller one (on a CPU a batch gains at most a fifth), or takes
        at most what the next larger one took.
        """
        known = self._seconds.get(group)
        if not known:
            return Seconds(0.0)
        if size in known:
            return Seconds(known[size])
        smaller = max((other for other in known if other < size), default=None)
        if smaller is not None:
            return Seconds(known[smaller] * size / smaller)
        return Seconds(known[min(known)])

    def knows(self, group: Hashable) -> bool:
        return group in self._seconds

    def doubt(self, group: Hashable) -> None:
        """Believe a little less after a job was refused on an estimate.

        Otherwise one slow moment could refuse everything for ever: what is refused is never measured again.
        """
        for size in self._seconds.get(group, {}):
            self._seconds[group][size] *= _DOUBT
