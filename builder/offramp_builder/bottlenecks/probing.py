"""A linear probe of a code: what its first channels say of the answer, by which a codec chooses how many it sends.

    code ─► its first 4, 8, 16, … channels ─► one matrix, as far as they go ─► logits, scaled for each number of them

It is fitted to training samples, as the encoder is; how much can be believed of it, calibration samples tell of each
codec that follows it.

# N samples, C channels, R numbers of channels, V values of a code, K classes
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from offramp.bundle.tables import ProbeTables

SAMPLES = 15_000
"""Training samples, at most, that a probe is fitted to, evenly drawn; 5,000 of CIFAR-10 cost it a point."""
_STEPS, _BATCH, _RATE, _DECAY = 700, 256, 3e-3, 0.1
_MIDDLE = 0.5
"""Of a code's values, around which the probe learns; what is shipped reads them as they are."""


def fit_probe(
    code: Tensor, truth_N: NDArray[np.int64], sent: Sequence[int], classes: int, *, seed: int = 0
) -> ProbeTables:
    """Of codes [N, C, …], for these numbers of channels, rising, all at once: each is to say the truth."""
    value_NV = code[:, : sent[-1]].flatten(1).float() - _MIDDLE
    places = value_NV.shape[1] // sent[-1]
    truth = torch.from_numpy(truth_N)
    torch.manual_seed(seed)
    probe = _Probe([channels * places for channels in sent], classes)
    weights, others = [probe.weight_VK], [probe.stretch_R, probe.bias_RK]
    groups = [{"params": weights, "weight_decay": _DECAY}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=_RATE)
    epochs = -(-_STEPS * _BATCH // len(truth))  # as many steps, however few the samples are
    slower = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, epochs * -(-len(truth) // _BATCH))
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(truth)), _BATCH):
            logits_RNK = probe(value_NV[rows])
            loss = functional.cross_entropy(logits_RNK.flatten(0, 1), truth[rows].repeat(len(sent)))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            slower.step()
    return probe.tables(sent)


class _Probe(nn.Module):
    def __init__(self, ends: Sequence[int], classes: int) -> None:
        """`ends`: behind the last value of each number of channels."""
        super().__init__()
        self._ends = ends
        self.weight_VK = nn.Parameter(torch.zeros(ends[-1], classes))
        self.stretch_R = nn.Parameter(torch.zeros(len(ends)))
        self.bias_RK = nn.Parameter(torch.zeros(len(ends), classes))

    def forward(self, value_NV: Tensor) -> Tensor:
        """[R, N, K]"""
        starts = (0, *self._ends[:-1])
        parts = [
            value_NV[:, start:stop] @ self.weight_VK[start:stop] for start, stop in zip(starts, self._ends, strict=True)
        ]
        return torch.stack(parts).cumsum(0) * self.stretch_R.exp()[:, None, None] + self.bias_RK[:, None]

    @torch.no_grad()
    def tables(self, sent: Sequence[int]) -> ProbeTables:
        """For codes that do not lie around 0."""
        scale_R = self.stretch_R.exp()
        middle_VK = _MIDDLE * self.weight_VK
        middle_RK = torch.stack([middle_VK[:stop].sum(0) for stop in self._ends])
        return ProbeTables(
            channels_R=np.array(sent, np.uint16),
            weight_VK=self.weight_VK.numpy().copy(),
            scale_R=scale_R.numpy(),
            bias_RK=(self.bias_RK - scale_R[:, None] * middle_RK).numpy(),
        )
