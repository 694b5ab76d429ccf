"""What a tape says of codecs: accuracy against bytes, and who is better than whom.

# N samples
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from offramp.bundle.manifest import Manifest
from offramp.plan import via_of
from offramp.tape.reader import Tape
from offramp.wire.framing import request_wire_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One codec at one split, on test samples."""

    split: int
    codec: str
    operations: float
    """Share of the network's that the device executes, its encoder included."""
    payload: float
    """Mean bytes."""
    wire: float
    """The same with all framing, and the acknowledgement of the answer."""
    accuracy: float
    alike: float
    """Share of the samples answered as without a codec."""

    @property
    def learned(self) -> bool:
        return bool(via_of(self.codec))

    @property
    def input(self) -> bool:
        return self.split == 0


def spots_of(tape: Tape, manifest: Manifest, subset: str = "test") -> list[Spot]:
    """Every codec that was recorded."""
    rows = tape.rows(subset)
    truth_N, whole_N = tape.truth_N[rows], tape.final().label_N[rows]
    found = []
    for entry in tape.header.codecs:
        label_N = tape.answer(entry.split, entry.codec).label_N[rows]
        bytes_N = tape.payload_bytes(entry.split, entry.codec)[rows]
        found.append(
            Spot(
                split=entry.split,
                codec=entry.codec,
                operations=operations(manifest, entry.split, entry.codec),
                payload=float(bytes_N.mean()),
                wire=float(np.mean([request_wire_bytes(int(size)) for size in bytes_N])),
                accuracy=float((label_N == truth_N).mean()),
                alike=float((label_N == whole_N).mean()),
            )
        )
    return found


def operations(manifest: Manifest, split: int, codec: str) -> float:
    """Share of the bare network's."""
    via = via_of(codec)
    before = manifest.macs_between(0, split) + (manifest.bottleneck(via).encoder_macs if via else 0)
    return before / manifest.macs_between(0, manifest.end)


def front(spots: Iterable[Spot]) -> list[Spot]:
    """Those that nothing with fewer bytes, or as many, is as good as; the cheapest first."""
    found: list[Spot] = []
    for spot in sorted(spots, key=lambda one: (one.payload, -one.accuracy)):
        if not found or spot.accuracy > found[-1].accuracy:
            found.append(spot)
    return found


def cheapest(spots: Iterable[Spot], accuracy: float) -> Spot | None:
    """The fewest bytes at this accuracy or better."""
    return min((spot for spot in spots if spot.accuracy >= accuracy), key=lambda one: one.payload, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """A learned codec's spot, and what as much accuracy costs otherwise."""

    spot: Spot
    rival: Spot | None
    """The cheapest of the others that is at least as accurate; None: none is."""

    @property
    def ratio(self) -> float:
        """How many times its bytes the rival takes; infinite where there is none."""
        return self.rival.payload / self.spot.payload if self.rival else float("inf")


def duels(spots: Sequence[Spot], *, half: float) -> list[Duel]:
    """The front of learned codecs at splits of at most so many operations, against all that are not learned."""
    inside = [spot for spot in spots if spot.operations <= half]
    rivals = [spot for spot in inside if not spot.learned]
    return [
        Duel(spot=spot, rival=cheapest(rivals, spot.accuracy)) for spot in front(one for one in inside if one.learned)
    ]
