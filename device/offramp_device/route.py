"""A route: one plan, opened. Several may be in use at once; a flight keeps the one it started on.

plan split=4, exit=confidence:0.9@2, codec=affine8+zstd

legs       0 ─► 2, branch, if ─► 4       what every sample walks
codec                            └─► payload
detours                          4 ─► n  where a sample goes that no branch has answered, when the edge is lost

Where the codec names a bottleneck, the last leg ends in its code, and detours begin with it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import TensorSpec
from offramp.clock import Clock
from offramp.codecs.catalog import open_codec
from offramp.codecs.codec import Codec
from offramp.errors import PlanError
from offramp.exits.catalog import open_policy
from offramp.exits.policy import ExitPolicy
from offramp.measure.profile import headed_name, segment_name
from offramp.plan import Plan
from offramp.records import Feature, Revision
from offramp.runtime.runtime import Runtime, Segment
from offramp.units import Seconds
from offramp_device.streams import Exits

WEIGHT = 0.2
"""Of the newest run in a pace's moving average."""
OUTLIER = 2.0
"""A run counts as at most this multiple of the average: one stall must not close a detour."""
RELAX = 0.98
"""What is left of a pace each time it forbids a run: a detour that became too slow is tried again now and then."""


class Pace:
    """How long one segment takes on this board: a moving average of wall time."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def note(self, seconds: float) -> None:
        known = self.seconds
        self.seconds = seconds if known == 0.0 else known + WEIGHT * (min(seconds, OUTLIER * known) - known)

    def relax(self) -> None:
        self.seconds *= RELAX


@dataclass(frozen=True, slots=True)
class Leg:
    """One segment that a plan runs on the device."""

    segment: Segment
    stop: int
    answers: bool
    """It ends in a branch, or at the end of the network: somebody has said something."""
    pace: Pace
    name: str
    """Of its segment, as profiles have it."""


class Doubt(NamedTuple):
    """Samples that a branch is not sure of take another route from there on: their payloads are written otherwise."""

    cut: int
    """Of the branch, the last that is asked."""
    below: float
    """Its confidence that they do not reach."""
    route: "Route"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """Everything of one plan that is opened and warm. Compared by identity: two routes of equal plans differ."""

    plan: Plan
    manifest: Manifest
    classes: int
    legs: tuple[Leg, ...]
    policy: ExitPolicy
    codec: Codec | None
    """None when the plan sends nothing."""
    detours: tuple[Leg, ...]
    """From the split to an answer, the nearest first: used when no branch has answered before the split."""

    doubt: Doubt | None = None
    encoding: str
    """What encoding at the split is called in telemetry: `encode 3:affine8+zstd`."""

    @property
    def both(self) -> "tuple[Route, ...]":
        """The route itself, and that of samples which a branch is not sure of."""
        return (self,) if self.doubt is None else (self, self.doubt.route)

    def revised(self, revision: Revision) -> "Route":
        """The same, of a plan with another revision."""
        doubt = None if self.doubt is None else self.doubt._replace(route=self.doubt.route.revised(revision))
        return replace(self, plan=self.plan.revised(revision), doubt=doubt)

    @property
    def exits(self) -> Exits:
        """To whom what a temporal policy remembers is of use."""
        return self.manifest.model_digest, self.plan.exit

    @property
    def ends(self) -> bool:
        """The device runs the whole network: nothing is sent."""
        return self.codec is None


OpenCodec = Callable[[str, Manifest, int], Codec]
OpenHead = Callable[[str], Runtime]
"""A runtime of the bundle as it runs with another head than its own."""


def no_other_head(head: str) -> Runtime:
    """Where the bundle's own is all there is."""
    raise PlanError(f"nothing but the bundle's own head can be run here, not {head!r}; leave head= out of the plan")


class RouteOpener:
    """Opens plans of one bundle; what it learns about a segment's pace serves every later route.

    A replay hands in a `runtime` and a `codec` that read a tape.
    """

    def __init__(
        self,
        manifest: Manifest,
        runtime: Runtime,
        clock: Clock,
        codec: OpenCodec = open_codec,
        head: OpenHead = no_other_head,
    ) -> None:
        self.manifest = manifest
        self._open_codec = codec
        self._open_head = head
        self._runtime = runtime
        self._clock = clock
        self._paces: dict[str, Pace] = {}

    def open(self, plan: Plan) -> Route:
        """Open and warm everything that the plan runs here; takes as long as sessions take to load.

        Raises:
            PlanError: The bundle cannot follow the plan.
            BundleError: A segment cannot be loaded.
        """
        end, via = self.manifest.end, plan.via
        asked = plan.exit.asked
        legs = [self._leg(start, stop, branch=True, head=plan.head) for start, stop in pairwise((0, *asked))]
        last = asked[-1] if asked else 0
        if last != plan.split or via:
            legs.append(self._leg(last, plan.split, branch=False, via=via, head=plan.head))
        doubt = None
        if plan.unsure is not None:
            doubt = Doubt(asked[-1], plan.unsure.below, self.open(plan.when_unsure))
        return Route(
            plan=plan,
            manifest=self.manifest,
            classes=self.manifest.cuts[end].tensors[0].elements,
            legs=tuple(legs),
            policy=open_policy(plan.exit),
            codec=self._open_codec(plan.codec, self.manifest, plan.split) if plan.split < end else None,
            detours=() if asked or plan.split == end else self._detours(plan.split, via),
            doubt=doubt,
            encoding=f"encode {plan.split}:{plan.codec}",
        )

    def branch_at(self, cut: int) -> Leg:
        """From the input straight to a branch, whatever a plan asks.

        Raises:
            PlanError: There is no branch.
            BundleError: Its segment cannot be loaded.
        """
        return self._leg(0, cut, branch=True)

    def _detours(self, split: int, via: str) -> tuple[Leg, ...]:
        nearest = min((branch.cut for branch in self.manifest.branches if branch.cut > split), default=None)
        passes_none = via and self.manifest.bottleneck(via).own_tail
        detours = [] if nearest is None or passes_none else [self._leg(split, nearest, branch=True, via=via)]
        detours.append(self._leg(split, self.manifest.end, branch=False, via=via))
        for leg in detours:
            if leg.pace.seconds == 0.0:
                self._time(leg, self.manifest.crossing(split, via))
        return tuple(detours)

    def _time(self, leg: Leg, tensors: tuple[TensorSpec, ...]) -> None:
        """One run on zeros: a guess is needed before the first detour, and there may be none for hours."""
        zeros: Feature = tuple(np.zeros((1, *tensor.shape), dtype=tensor.dtype) for tensor in tensors)
        before = self._clock.now()
        leg.segment.run(zeros)
        leg.pace.note(self._clock.now() - before)

    def _leg(self, start: int, stop: int, *, branch: bool, via: str = "", head: str = "") -> Leg:
        runtime = self._open_head(head) if head else self._runtime
        name = headed_name(segment_name(start, stop, branch=branch, via=via), head)
        return Leg(
            segment=runtime.open(start, stop, branch=branch, via=via),
            stop=stop,
            answers=branch or stop == self.manifest.end,
            pace=self._paces.setdefault(name, Pace()),
            name=name,
        )


def choose_detour(route: Route, budget: Seconds) -> Leg | None:
    """The detour that says most within `budget`: the end of the network, else the nearest branch, else none."""
    for leg in reversed(route.detours):
        if leg.pace.seconds <= budget:
            return leg
        leg.pace.relax()
    return None
