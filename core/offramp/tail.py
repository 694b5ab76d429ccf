"""The tail: what an edge does for a batch of requests, wherever it runs.

    payload ─► codec.decode ─► feature ┐
    payload ─► codec.decode ─► feature ├─► stages split … n-1 ─► logits [N, K]
    payload ─► codec.decode ─► feature ┘

Where the codec names a bottleneck, what it decodes is a code, and its decoder and tail are run.

With exits, a sample that is sure at a branch past the split is answered there, and the others go on without it:

    features ─► stages ─► branch ─► those who stay ─► stages ─► logits
                             └► those who leave

The edge server runs it behind a queue, the loopback uplink in the device's own process.

# N samples, R of them, K classes
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle
from offramp.codecs.catalog import open_codec
from offramp.codecs.codec import Codec
from offramp.errors import PlanError, UnknownNameError
from offramp.exits.catalog import open_policy
from offramp.exits.policy import NO_STATE, BranchOutputs, ExitPolicy, rows_of
from offramp.plan import NO_EXIT, ExitRule, via_of
from offramp.records import Answer, EdgeTimings, Feature
from offramp.runtime.runtime import Runtime, Segment
from offramp.units import Bytes

MAX_CODECS = 256
"""Opened codecs that are kept; a peer chooses names from a closed catalogue, but there are a hundred JPEG qualities."""
MAX_RULES = 256
"""Opened exit policies that are kept."""
OUT = np.float32(-np.inf)
"""The logit of a class that the device has excluded."""


class Heard(NamedTuple):
    """Samples of a batch whose answer is known, at a branch or at the end."""

    row_R: NDArray[np.intp]
    """Which of the N they are."""
    cut: int
    logits_RK: NDArray[np.float32]
    """Raw."""
    label_R: NDArray[np.int64] | None = None
    """How the exit policy labels them; None: by their largest logit."""


class Tail:
    """The later stages of one bundle, for any split and codec. Keeps no state of any client."""

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        self.bundle = bundle
        self.manifest: Manifest = bundle.manifest
        self._runtime = runtime
        self._codec = lru_cache(maxsize=MAX_CODECS)(self._open_codec)
        self._policy = lru_cache(maxsize=MAX_RULES)(open_policy)

    def open(self, split: int, codec: str, exits: ExitRule = NO_EXIT) -> None:
        """Open and warm what requests at this split, with this codec and these exits past it, need.

        Raises:
            PlanError: The bundle keeps no such split, or nothing comes after it; or an edge cannot follow the exits.
            UnknownNameError: No such codec, or none that applies at this cut.
        """
        via = via_of(codec)
        check_exits(exits, split, self.manifest, via)
        self._codec(split, codec)
        self._segment(split, via)
        here = split
        for cut in exits.asked:
            self._runtime.open(here, cut, branch=True, via=via)
            here, via = cut, ""
        self._segment(here, via)

    def decode(self, split: int, codec: str, payload: bytes) -> Feature:
        """The feature of one sample at the split, tensors [1, *shape].

        Raises:
            PayloadError: The payload is truncated, malformed or oversized.
        """
        return self._codec(split, codec).decode(payload)

    def max_payload(self, split: int, codec: str) -> Bytes:
        """No valid payload is larger: a longer one need not even be kept."""
        return self._codec(split, codec).max_payload

    def run(self, split: int, features: Sequence[Feature], via: str = "") -> NDArray[np.float32]:
        """Raw logits [N, K] of N samples, in one model call; via a bottleneck, the features are codes."""
        return self._finish(split, _together(features), via)

    def leave(self, split: int, features: Sequence[Feature], exits: ExitRule, via: str = "") -> Iterator[Heard]:
        """The same of samples that may leave at the branches which these exits ask.

        Each is heard of once, as soon as its answer is known; nothing further runs before the next one is asked for.
        """
        policy: ExitPolicy = self._policy(exits)
        feature, row_R, state, here = _together(features), np.arange(len(features)), NO_STATE, split
        for cut in exits.asked:
            outputs = self._runtime.open(here, cut, branch=True, via=via).run(feature)
            feature, here, via = outputs.feature, cut, ""
            logits_RK, scores_RS = outputs.logits_NK, outputs.scores_NS
            assert logits_RK is not None and scores_RS is not None  # noqa: PT018 - a branch says both or nothing
            (leaves_R, label_R), state = policy.decide(BranchOutputs(cut, logits_RK, scores_RS), state)
            if not leaves_R.any():
                continue
            yield Heard(row_R[leaves_R], cut, logits_RK[leaves_R], None if label_R is None else label_R[leaves_R])
            stays_R = ~leaves_R
            row_R, state = row_R[stays_R], rows_of(state, stays_R)
            if not len(row_R):
                return
            feature = tuple([tensor[stays_R] for tensor in feature])
        yield Heard(row_R, self.manifest.end, self._finish(here, feature, via))

    def _finish(self, start: int, batch: Feature, via: str) -> NDArray[np.float32]:
        logits_NK = self._segment(start, via).run(batch).logits_NK
        assert logits_NK is not None  # every segment that ends at n has logits
        return logits_NK

    def _segment(self, split: int, via: str) -> Segment:
        if not 0 <= split < self.manifest.end:
            raise PlanError(
                f"split {split} leaves the edge nothing to run: {self.manifest.name!r} is split at 0 to "
                f"{self.manifest.end - 1}"
            )
        return self._runtime.open(split, self.manifest.end, branch=False, via=via)

    def _open_codec(self, split: int, codec: str) -> Codec:
        return open_codec(codec, self.manifest, split)


def answer_of(
    logits_K: NDArray[np.float32],
    timings: EdgeTimings,
    *,
    alive_K: NDArray[np.bool_] | None = None,
    cut: int | None = None,
    label: int | None = None,
) -> Answer:
    """The answer to a sample about which a branch, or the end of the network, says `logits_K`.

    Args:
        logits_K: Raw.
        timings: Of its request.
        alive_K: The classes that the device has not excluded; one of them is the answer. None: all.
        cut: Of the branch; None: it went to the end.
        label: What the exit policy says; None: the largest logit.
    """
    if alive_K is not None:
        logits_K = np.where(alive_K, logits_K, OUT)
        if label is not None and not alive_K[label]:
            label = None
    return Answer(logits=logits_K, timings=timings, exit=cut, decided=label)


def check_exits(exits: ExitRule, split: int, manifest: Manifest, via: str = "") -> None:
    """Refuse exits that no edge can follow past this split, or past the bottleneck around it.

    Raises:
        PlanError: A branch is not there, or lies before the split, or the bottleneck's own tail passes none; the policy
            is unknown, or looks at streams.
    """
    if exits.thresholds and via and manifest.bottleneck(via).own_tail:
        raise PlanError(
            f"the bottleneck {via} has a tail of its own, which passes no branch, so tail={exits} could never fire; "
            "drop it, or take a codec of the feature itself"
        )
    for cut in exits.asked:
        if cut <= split or manifest.branch_at(cut) is None:
            there = [branch.cut for branch in manifest.branches if branch.cut > split]
            raise PlanError(
                f"the edge cannot ask branch {cut} after split {split}: {manifest.name!r} has branches past it at "
                f"{', '.join(map(str, there)) or 'no cut'}"
            )
    try:
        temporal = open_policy(exits).temporal
    except UnknownNameError as error:
        raise PlanError(str(error)) from error
    if temporal:
        raise PlanError(
            f"{exits} looks at what its stream said before, and an edge keeps no state of streams; ask it on the "
            "device, with exit=, or let the edge follow a policy that looks at one sample, such as confidence"
        )


def _together(features: Sequence[Feature]) -> Feature:
    return features[0] if len(features) == 1 else tuple(map(np.concatenate, zip(*features, strict=True)))
