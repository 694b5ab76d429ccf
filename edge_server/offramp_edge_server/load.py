"""What an edge does, told once a second: sums over what its runner did, turned into a report.

    runner ── arrived, began, ended, answered, waited ──► Load ── beat(now) ──► EdgeReport

Lives on the event loop. A request only adds to sums, which costs less than a tenth of what counting for Prometheus
does; so it counts always. What they mean is worked out at the beat.
"""

from collections.abc import Mapping

from offramp.records import EdgeTimings
from offramp.telemetry import EdgeReport
from offramp.units import Seconds
from offramp_edge_server.price import price_of, smoothed
from offramp_edge_server.routes import Route

_WEIGHT = 0.2
"""Of one more request in a pace's moving average."""
_CHANGED = 0.05
"""A pace that moved by less, as a share, is not told again."""
_MAX_PACES = 1024
"""Of one bundle; peers choose splits and codecs, and there are a hundred qualities of a JPEG."""


class Load:
    """Counts between two beats; paces are kept from the first request on."""

    def __init__(self, now: Seconds) -> None:
        self.report = EdgeReport()
        """The newest, without paces."""
        self._since = now
        self._began: Seconds | None = None
        self._worked = 0.0
        self._arrived = 0
        self._waits, self._waited = 0, 0.0
        self._sums: dict[Route, list[float]] = {}
        """Requests, seconds computed for them and seconds decoded, of each route since its paces were worked out."""
        self._paces: dict[str, dict[str, float]] = {}
        self._told: dict[str, dict[str, float]] = {}

    def arrived(self) -> None:
        """A request came."""
        self._arrived += 1

    def began(self, now: Seconds) -> None:
        """The model is at work from now on."""
        self._began = now

    def ended(self, now: Seconds) -> None:
        assert self._began is not None
        self._worked += now - self._began
        self._began = None

    def waited(self, duration: Seconds) -> None:
        """A request left the queue after so long, whatever became of it."""
        self._waits += 1
        self._waited += duration

    def answered(self, route: Route, timings: EdgeTimings) -> None:
        """A request was answered: what it took goes into the paces of its tail and its codec."""
        self._waits += 1
        self._waited += timings.queue
        sums = self._sums.get(route)
        if sums is None:
            sums = self._sums[route] = [0.0, 0.0, 0.0]
        sums[0] += 1
        sums[1] += timings.compute / timings.batch
        sums[2] += timings.decode

    def beat(self, now: Seconds, queue: int) -> EdgeReport:
        """What happened since the beat before, and the price that it calls for."""
        elapsed = Seconds(now - self._since)
        if elapsed <= 0:
            return self.report
        if self._began is not None:  # a long model call counts where it happens, not where it ends
            self._worked += now - self._began
            self._began = now
        busy = min(self._worked / elapsed, 1.0)
        # By Little's law, the time that all of them waited, over the time, is how many wait on average.
        price = smoothed(self.report.price, price_of(busy, self._waited / elapsed), elapsed)
        self.report = EdgeReport(
            wait=Seconds(self._waited / self._waits if self._waits else 0.0),
            busy=busy,
            rate=self._arrived / elapsed,
            queue=queue,
            price=price,
        )
        self._since, self._worked, self._arrived = now, 0.0, 0
        self._waits, self._waited = 0, 0.0
        self._work_out()
        return self.report

    def paces(self) -> dict[str, dict[str, float]]:
        """All that are known: for whoever knows nothing yet."""
        self._work_out()
        return {digest: dict(paces) for digest, paces in self._paces.items()}

    def news(self) -> dict[str, dict[str, float]]:
        """Those that changed since they were told here."""
        self._work_out()
        changed = {digest: _changed(paces, self._told.get(digest, {})) for digest, paces in self._paces.items()}
        for digest, paces in changed.items():
            self._told.setdefault(digest, {}).update(paces)
        return {digest: paces for digest, paces in changed.items() if paces}

    def _work_out(self) -> None:
        for route, (count, compute, decode) in self._sums.items():
            paces = self._paces.setdefault(route.group.digest, {})
            weight = 1 - (1 - _WEIGHT) ** count
            if route.pace:
                _note(paces, route.pace, compute / count, weight)
            _note(paces, f"decode {route.group.split}:{route.codec}", decode / count, weight)
        self._sums.clear()


def _note(paces: dict[str, float], name: str, seconds: float, weight: float) -> None:
    known = paces.get(name)
    if known is not None:
        paces[name] = known + weight * (seconds - known)
    elif len(paces) < _MAX_PACES:
        paces[name] = seconds


def _changed(paces: Mapping[str, float], told: Mapping[str, float]) -> dict[str, float]:
    return {name: pace for name, pace in paces.items() if abs(pace - told.get(name, 0.0)) > _CHANGED * pace}
