"""What a user orders when a bundle is to be certified, and how that is done: by command, or at the end of a build."""

from collections.abc import Callable
from dataclasses import dataclass

from offramp.bundle.manifest import Manifest
from offramp.exits.certificate import Certificate
from offramp.exits.certify import Promise, certify, halves_of
from offramp.exits.evidence import Evidence, units_of
from offramp.measure.calibration import CALIBRATION, looked_at
from offramp.planning.ways import Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A promise, and which rules may keep it."""

    promise: Promise
    policy: str = "confidence"
    """Whose thresholds are chosen; `POLICY+RULE` stands over a rule."""
    branches: str | None = None
    """By index or name; None: all."""
    together: bool = False
    """One threshold for all branches, instead of tuning each of them."""
    block: int | None = None
    """So many neighbours of a stream count as one draw."""


def certified(
    evidence: Evidence,
    order: Order,
    manifest: Manifest,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Certificate:
    """The certificate of the most lenient rule that keeps the promise.

    Raises:
        InputError: Nothing keeps it, too few samples could tell, or the order cannot be followed.
    """
    way = Way.of(manifest, order.policy, order.branches)
    halves = halves_of(evidence, units_of(evidence, temporal=way.temporal, block=order.block))
    path = way.path(halves, order.promise, manifest, together=order.together)
    caution = looked_at(manifest, evidence.origin)
    if order.block and not caution and evidence.origin.subset == CALIBRATION:
        caution = "temperatures were fitted to some of them too"  # whole groups are held out, and blocks are no groups
    return certify(halves, path, order.promise, manifest, looked_at=caution, progress=progress)
