"""The tail: what an edge does for a batch of requests, wherever it runs.

    payload ─► codec.decode ─► feature ┐
    payload ─► codec.decode ─► feature ├─► stages split … n-1 ─► logits [N, K]
    payload ─► codec.decode ─► feature ┘

The edge server runs it behind a queue, the loopback uplink in the device's own process.

# N samples, K classes
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle
from offramp.codecs.catalog import open_codec
from offramp.codecs.codec import Codec
from offramp.errors import PlanError
from offramp.records import Feature
from offramp.runtime.runtime import Runtime, Segment
from offramp.units import Bytes

MAX_CODECS = 256
"""Opened codecs that are kept; a peer chooses names from a closed catalogue, but there are a hundred JPEG qualities."""


class Tail:
    """The later stages of one bundle, for any split and codec. Keeps no state of any client."""

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        self.bundle = bundle
        self.manifest: Manifest = bundle.manifest
        self._runtime = runtime
        self._codec = lru_cache(maxsize=MAX_CODECS)(self._open_codec)

    def open(self, split: int, codec: str) -> None:
        """Open and warm what requests at this split with this codec need.

        Raises:
            PlanError: The bundle keeps no such split, or nothing comes after it.
            UnknownNameError: No such codec, or none that applies at this cut.
        """
        self._codec(split, codec)
        self._segment(split)

    def decode(self, split: int, codec: str, payload: bytes) -> Feature:
        """The feature of one sample at the split, tensors [1, *shape].

        Raises:
            PayloadError: The payload is truncated, malformed or oversized.
        """
        return self._codec(split, codec).decode(payload)

    def max_payload(self, split: int, codec: str) -> Bytes:
        """No valid payload is larger: a longer one need not even be kept."""
        return self._codec(split, codec).max_payload

    def run(self, split: int, features: Sequence[Feature]) -> NDArray[np.float32]:
        """Raw logits [N, K] of N samples, in one model call."""
        batch = features[0] if len(features) == 1 else tuple(map(np.concatenate, zip(*features, strict=True)))
        logits_NK = self._segment(split).run(batch).logits_NK
        assert logits_NK is not None  # every segment that ends at n has logits
        return logits_NK

    def _segment(self, split: int) -> Segment:
        if not 0 <= split < self.manifest.end:
            raise PlanError(
                f"split {split} leaves the edge nothing to run: {self.manifest.name!r} is split at 0 to "
                f"{self.manifest.end - 1}"
            )
        return self._runtime.open(split, self.manifest.end, branch=False)

    def _open_codec(self, split: int, codec: str) -> Codec:
        return open_codec(codec, self.manifest, split)
