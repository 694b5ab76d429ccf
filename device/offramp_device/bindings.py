"""Which routes the edge has opened, on the stream in use. Pure: `now` is passed in.

want(route) ──► due: (reference, binding) to be sent ──► heard: opened, or refused ──► reference(route)
"""

from collections import OrderedDict
from dataclasses import dataclass

from offramp.units import Seconds
from offramp.wire.convert import Binding, bind
from offramp_device.route import Route

KEPT = 8
"""Routes bound again on a new stream: the plan in use, the one that replaces it, and some that may come back."""
RETRY = Seconds(10.0)
"""An edge that refused a plan is asked again: it may have got the bundle, or the memory, meanwhile."""


@dataclass(slots=True)
class _Bound:
    ref: int
    asked: Seconds
    opened: bool = False
    refusal: str = ""


class Bindings:
    """Not safe from several threads but for `reference` and `unready`. References are never used twice."""

    def __init__(self) -> None:
        self._routes: OrderedDict[Route, Binding] = OrderedDict()
        self._bound: dict[Binding, _Bound] = {}
        self._opened: dict[Route, int] = {}
        """References by route: what every sample asks for, without hashing a binding."""
        self._refs = 0

    def want(self, route: Route) -> None:
        self._routes[route] = bind(route.plan, route.manifest)
        while len(self._routes) > KEPT:
            self._routes.popitem(last=False)
        wanted = set(self._routes.values())
        self._bound = {binding: bound for binding, bound in self._bound.items() if binding in wanted}
        self._index()

    def due(self, now: Seconds) -> list[tuple[int, Binding]]:
        """What is to be bound now: new bindings, and refused ones after a while."""
        due = []
        for binding in dict.fromkeys(self._routes.values()):
            known = self._bound.get(binding)
            if known is None or (known.refusal and now - known.asked > RETRY):
                self._refs += 1
                self._bound[binding] = _Bound(self._refs, now)
                due.append((self._refs, binding))
        return due

    def heard(self, ref: int, refusal: str) -> None:
        """The edge has opened the reference, or says why not."""
        for bound in self._bound.values():
            if bound.ref == ref:
                bound.opened, bound.refusal = not refusal, refusal
        self._index()

    def lose(self) -> None:
        """The stream is gone, and all references with it."""
        self._bound = {}
        self._index()

    def reference(self, route: Route) -> int | None:
        """What a request on this route is sent under; None while the edge has not opened it."""
        return self._opened.get(route)

    def unready(self, route: Route) -> str:
        """Why there is no reference; empty when there is one."""
        if route in self._opened:
            return ""
        bound = self._find(route)
        return (bound and bound.refusal) or "the edge has not opened this plan yet"

    def settled(self, route: Route) -> bool:
        """The edge has said yes or no."""
        bound = self._find(route)
        return bound is not None and (bound.opened or bool(bound.refusal))

    def _find(self, route: Route) -> _Bound | None:
        binding = self._routes.get(route)
        return None if binding is None else self._bound.get(binding)

    def _index(self) -> None:
        found = ((route, self._find(route)) for route in self._routes)
        self._opened = {route: bound.ref for route, bound in found if bound is not None and bound.opened}
