"""The way to an edge, as the pipeline sees it: a real one, one inside this process, and none at all.

    pipeline ── send(flight, deliver) ──► uplink ──► deliver(flight, Answer) or deliver(flight, why there is none)

Whoever accepts a flight delivers it exactly once, from any thread.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from offramp.bundle.store import Bundle
from offramp.clock import Clock, SystemClock
from offramp.errors import OfframpError
from offramp.plan import NO_EXIT
from offramp.records import Answer, EdgeTimings
from offramp.runtime.runtime import Runtime
from offramp.tail import Tail, answer_of
from offramp.units import Seconds
from offramp.wire.convert import alive_from_proto

if TYPE_CHECKING:
    from offramp_device.flight import Flight
    from offramp_device.route import Route

Deliver = Callable[["Flight", Answer | str], None]
"""Takes the answer, or the reason why there is none."""


class Uplink(Protocol):
    """Takes flights to an edge."""

    def prepare(self, route: "Route", patience: Seconds) -> None:
        """Make the edge open what the route needs; returns when it has, when it refuses, or after `patience`."""
        ...

    def unready(self, route: "Route") -> str:
        """Why nothing on this route could be sent now; empty when it could. Costs next to nothing."""
        ...

    def send(self, flight: "Flight", deliver: Deliver) -> str:
        """Empty when the flight was accepted, else the reason why not."""
        ...

    def close(self) -> None:
        """Everything accepted has been delivered when this returns."""
        ...


class LoopbackUplink:
    """An edge inside this process: payloads are really decoded, the tail is really run, at once."""

    def __init__(self, bundle: Bundle, runtime: Runtime | None = None, clock: Clock | None = None) -> None:
        if runtime is None:
            from offramp.runtime.onnx_backend import OnnxRuntime

            runtime = OnnxRuntime(bundle)
        self._runtime = runtime
        self._tail = Tail(bundle, runtime)
        self._clock = clock or SystemClock()

    def prepare(self, route: "Route", patience: Seconds) -> None:  # noqa: ARG002 - it never has to wait
        if not route.ends:
            for one in route.both:
                self._tail.open(one.plan.split, one.plan.codec, one.plan.tail)

    def unready(self, route: "Route") -> str:  # noqa: ARG002 - it always is
        return ""

    def send(self, flight: "Flight", deliver: Deliver) -> str:
        deliver(flight, self._answer(flight))
        return ""

    def close(self) -> None:
        self._runtime.close()

    def _answer(self, flight: "Flight") -> Answer | str:
        plan, tail = flight.route.plan, self._tail
        begun = self._clock.now()
        try:
            feature = tail.decode(plan.split, plan.codec, flight.payload)
            alive_K = alive_from_proto(flight.alive, flight.route.classes)
            decoded = self._clock.now()
            heard = next(tail.leave(plan.split, [feature], plan.tail if plan.queue <= 1 else NO_EXIT, plan.via))
        except OfframpError as error:
            return str(error)
        timings = EdgeTimings(decode=Seconds(decoded - begun), compute=Seconds(self._clock.now() - decoded), batch=1)
        return answer_of(
            heard.logits_RK[0],
            timings,
            alive_K=alive_K,
            cut=None if heard.cut == tail.manifest.end else heard.cut,
            label=None if heard.label_R is None else int(heard.label_R[0]),
        )


class LostUplink:
    """No edge: whatever no branch is sure about is answered on the device, flagged as degraded."""

    def __init__(self, reason: str = "no edge") -> None:
        self.reason = reason

    def prepare(self, route: "Route", patience: Seconds) -> None: ...

    def unready(self, route: "Route") -> str:  # noqa: ARG002 - no route has an edge
        return self.reason

    def send(self, flight: "Flight", deliver: Deliver) -> str:  # noqa: ARG002 - it is never accepted
        return self.reason

    def close(self) -> None: ...
