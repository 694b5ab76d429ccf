"""What two branches and a network might have said about calibration samples: the surer a branch, the seldomer it errs.

# N samples, K classes
"""

import numpy as np
from numpy.typing import NDArray

from offramp.exits.evidence import Evidence, Origin
from tests.support.heard import said

CLASSES = 5


def some_evidence(
    count: int = 4_000, *, seed: int = 0, cuts: tuple[int, ...] = (1, 2), group: int = 1, subset: str = "calibration"
) -> Evidence:
    """Samples in groups of `group`, whose branches err together; the network is right in 95 of 100."""
    rng = np.random.default_rng(seed)
    truth_N = rng.integers(0, CLASSES, count)
    branches = {}
    for depth, cut in enumerate(cuts, start=1):
        sure_N, luck_N = (np.repeat(rng.random(-(-count // group)), group)[:count] for _ in range(2))
        right_N = luck_N < sure_N ** (0.3 / depth)
        branches[cut] = said(_logits(np.where(right_N, truth_N, (truth_N + 1) % CLASSES), 0.2 + 0.8 * sure_N), cut)
    final_N = np.where(rng.random(count) < 0.95, truth_N, (truth_N + 2) % CLASSES)
    return Evidence(
        origin=Origin(data="seeded", digest="0" * 64, subset=subset, seed=0),
        logits={cut: outputs.logits_NK for cut, outputs in branches.items()},
        scores={cut: outputs.scores_NS for cut, outputs in branches.items()},
        final_NK=_logits(final_N, np.full(count, 0.9)),
        truth_N=truth_N,
        group_N=np.arange(count) // group,
        stream_N=np.zeros(count, np.int64),
    )


def _logits(label_N: NDArray[np.int64], confidence_N: NDArray[np.float64]) -> NDArray[np.float32]:
    """[N, K] whose largest probability is the confidence, of the label."""
    sure_N = np.clip(confidence_N, 1 / CLASSES + 1e-3, 1 - 1e-6)
    logits_NK = np.zeros((len(label_N), CLASSES), np.float32)
    logits_NK[np.arange(len(label_N)), label_N] = np.log(sure_N * (CLASSES - 1) / (1 - sure_N))
    return logits_NK
