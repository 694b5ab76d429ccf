"""Calibration ranges: what a fixed-range codec may expect of the tensors at each cut.

A range is the pair of quantiles that bounded ReLU uses (Tschannen and others; 0.99977 is 3.5 standard deviations of a
normal): what lies outside is clipped, so that one outlier does not coarsen every step. A tensor that is never negative
starts at exactly 0, which then has a code of its own.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from torch import Tensor

from offramp_builder.capture import Captured
from offramp_builder.features import features

QUANTILE = 0.99977
_PER_SAMPLE = 1024
"""Values kept of each tensor of each sample, at places drawn anew for each batch: 1000 samples give a million, of which
230 lie outside each end."""

Range = tuple[float, float]
Ranges = dict[int, tuple[Range, ...]]
"""(low, high) of each tensor at each position."""


def calibrate(captured: Captured, positions: Sequence[int], batches: Iterable[Tensor], *, seed: int = 0) -> Ranges:
    """Ranges of the floating-point tensors at `positions` over batches of raw samples; (0, 0) for integers."""
    random = np.random.default_rng(seed)
    kept: dict[tuple[int, int], list[np.ndarray[tuple[int], np.dtype[np.float32]]]] = {}
    lowest: dict[tuple[int, int], float] = {}
    for batch in features(captured, positions, batches):
        for position, tensors in batch.items():
            for index, tensor in enumerate(tensors):
                if not tensor.is_floating_point():
                    continue
                key = position, index
                values_NE = tensor.reshape(len(tensor), -1).float().numpy()
                lowest[key] = min(lowest.get(key, np.inf), float(values_NE.min()))
                if values_NE.shape[1] > _PER_SAMPLE:
                    values_NE = values_NE[:, random.choice(values_NE.shape[1], _PER_SAMPLE, replace=False)]
                kept.setdefault(key, []).append(values_NE.ravel())
    return {
        position: tuple(
            _range(kept[position, index], lowest[position, index]) if (position, index) in kept else (0.0, 0.0)
            for index in range(len(captured.cuts[position].tensors))
        )
        for position in positions
    }


def _range(values: Sequence[np.ndarray[tuple[int], np.dtype[np.float32]]], lowest: float) -> Range:
    low, high = (float(bound) for bound in np.quantile(np.concatenate(values), (1 - QUANTILE, QUANTILE)))
    low = 0.0 if lowest >= 0 else low
    # A tensor that never changed (dead units) still needs a range that can be divided by.
    return low, high if high > low else low + 1.0
