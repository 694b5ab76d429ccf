"""From a binding to a route: which tail, which codec, all of it checked and opened before the first request."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from offramp.errors import PlanError, UnknownBundleError
from offramp.measure.profile import segment_name
from offramp.plan import NO_EXIT, ExitRule, via_of
from offramp.tail import Tail
from offramp.units import Bytes
from offramp.wire.convert import Binding, shapes
from offramp_edge_server.meter import Meter, Tally

_MAX_OPENED = 1024
"""Pairs of split and codec known to be open; past that all are asked again: peers choose the names."""


class Group(NamedTuple):
    """Requests that may share a model call."""

    digest: str
    split: int
    exits: str = ""
    """Those past the split, and when they apply; empty: none."""
    via: str = ""
    """The bottleneck whose code they bring."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """A binding, resolved: where its requests go."""

    tail: Tail
    group: Group
    pace: str
    """What reports call its tail: `3-8`; empty where it is not always the same: some leave it."""
    codec: str
    max_payload: Bytes
    """A longer payload is refused before it is queued."""
    top_k: int
    tally: Tally
    classes: int
    exits: ExitRule = NO_EXIT
    """Past the split."""
    queue: int = 0
    """They apply while so many requests wait, the ones being run included."""

    def lets_leave(self, waiting: int) -> bool:
        """Whether exits apply while so many requests wait."""
        return bool(self.exits.thresholds) and waiting >= self.queue


class Router:
    """Knows the bundles that are served; one per server."""

    def __init__(self, tails: Mapping[str, Tail], meter: Meter) -> None:
        self.tails = tails
        self._meter = meter
        # Opening a segment takes 40 ms and more: neither the event loop nor the model may wait for it.
        self._opener = ThreadPoolExecutor(1, "offramp-open")
        self._opened: set[tuple[Group, str]] = set()
        self._tallies: dict[Group, Tally] = {}

    async def open(self, binding: Binding) -> Route:
        """Check a binding against the bundle that it names; open and warm what its requests need.

        Raises:
            UnknownBundleError: No bundle of this digest is served here.
            PlanError: The bundle has no such split, or its tensors there are others, or no such exits past it.
            UnknownNameError: There is no such codec, or it does not apply there.
        """
        tail = self._tail(binding)
        exits = f"{binding.tail} from {binding.queue}" if binding.tail.thresholds else ""
        via = via_of(binding.codec)
        group = Group(binding.model_digest, binding.split, exits, via)
        if (group, binding.codec) not in self._opened:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._opener, tail.open, binding.split, binding.codec, binding.tail)
            if len(self._opened) >= _MAX_OPENED:
                self._opened.clear()
            self._opened.add((group, binding.codec))
        counted = Group(binding.model_digest, binding.split)
        if counted not in self._tallies:
            self._tallies[counted] = self._meter.tally(tail.manifest.name, binding.split)
        manifest = tail.manifest
        return Route(
            tail=tail,
            group=group,
            pace="" if exits else segment_name(binding.split, manifest.end, branch=False, via=via),
            codec=binding.codec,
            max_payload=tail.max_payload(binding.split, binding.codec),
            top_k=binding.top_k,
            tally=self._tallies[counted],
            classes=manifest.cuts[-1].tensors[0].elements,
            exits=binding.tail,
            queue=binding.queue,
        )

    def close(self) -> None:
        self._opener.shutdown(wait=False, cancel_futures=True)

    def _tail(self, binding: Binding) -> Tail:
        tail = self.tails.get(binding.model_digest)
        if tail is None:
            served = ", ".join(f"{tail.manifest.name} {digest[:12]}" for digest, tail in self.tails.items())
            raise UnknownBundleError(
                f"no bundle {binding.model_digest[:12]} is served here, but: {served}; give both ends the same bundle"
            )
        manifest = tail.manifest
        if binding.split >= manifest.end:
            raise PlanError(
                f"split {binding.split} leaves the edge nothing to run; {manifest.name!r} is split at 0 to "
                f"{manifest.end - 1}"
            )
        expected = shapes(manifest.crossing(binding.split, via_of(binding.codec)))
        if binding.tensors != expected:
            raise PlanError(
                f"at split {binding.split} of {manifest.name!r} the tensors are {_show(expected)}, not "
                f"{_show(binding.tensors)}"
            )
        return tail


def _show(tensors: tuple[tuple[tuple[int, ...], str], ...]) -> str:
    return " and ".join(f"{dtype}{list(shape)}" for shape, dtype in tensors) or "none"
