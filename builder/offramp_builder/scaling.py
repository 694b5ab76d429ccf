"""Vector scaling beside temperature scaling: what turns a branch's logits into probabilities that mean what they say.

    temperature   logits / T                one number, which cannot change an answer
    vector        logits * w_K + b_K        2 K numbers, where some classes are overrated and others underrated

Both are Guo and others', "On Calibration of Modern Neural Networks", 2017. The vector replaces the temperature where it
says more of samples that it was not fitted to; it is then part of the branch, whose temperature is 1: what exits read,
what a tape records and what a rule decides are the scaled logits, and nobody else has to know.

# N samples, K classes
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from offramp.data.held_out import held_out
from offramp_builder.temperature import fit_temperature, negative_log_likelihoods

_STEPS = 60
"""Of L-BFGS: the loss has one valley and stops falling long before."""
_RESTRAINT = 1e-3
"""Nats that a scale of e times its start, or a bias of 1, has to be worth: rare classes move little."""
_SURELY = 2.0
"""Standard errors by which the vector has to be better."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scaling:
    """How logits are scaled."""

    temperature: float
    """Divides them; 1 where there is a vector."""
    vector: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
    """(scale_K, bias_K)."""

    @property
    def name(self) -> str:
        """As `BranchSpec` says it."""
        return "temperature" if self.vector is None else "vector"

    def scaled(self, logits_NK: NDArray[np.float32]) -> NDArray[np.float32]:
        """As the branch says them from now on, before its temperature."""
        return logits_NK if self.vector is None else logits_NK * self.vector[0] + self.vector[1]

    def applied(self, branch: nn.Module) -> nn.Module:
        """The branch that says so."""
        return branch if self.vector is None else ScaledBranch(branch, *self.vector).eval()


def choose_scaling(logits_NK: NDArray[np.float32], truth_N: NDArray[np.int64], unit_N: NDArray[np.int64]) -> Scaling:
    """The better of the two by samples that it was not fitted to, fitted again to all of them.

    Each half of the units judges what was fitted to the other. The temperature is kept unless the vector is better by
    two standard errors.
    """
    plain = Scaling(temperature=fit_temperature(logits_NK, truth_N))
    one_N = held_out(unit_N * 2 + 1)  # another draw than that of the calibration part
    if one_N.all() or not one_N.any():
        return plain
    gain_N = np.empty(len(truth_N))
    for fitted_N in (one_N, ~one_N):
        temperature = fit_temperature(logits_NK[fitted_N], truth_N[fitted_N])
        scale_K, bias_K = fit_vector(logits_NK[fitted_N], truth_N[fitted_N], temperature)
        judged = logits_NK[~fitted_N]
        gain_N[~fitted_N] = negative_log_likelihoods(judged, truth_N[~fitted_N], temperature)
        gain_N[~fitted_N] -= negative_log_likelihoods(judged * scale_K + bias_K, truth_N[~fitted_N], 1.0)
    _, unit_index_N = np.unique(unit_N, return_inverse=True)
    gain_M = np.bincount(unit_index_N, weights=gain_N) / np.bincount(unit_index_N)
    if gain_M.mean() <= _SURELY * gain_M.std(ddof=1) / np.sqrt(len(gain_M)):
        return plain
    return Scaling(temperature=1.0, vector=fit_vector(logits_NK, truth_N, plain.temperature))


def fit_vector(
    logits_NK: NDArray[np.float32], truth_N: NDArray[np.int64], temperature: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(scale_K, bias_K) of the least negative log-likelihood, from the temperature on; scales stay positive."""
    logits, truth = torch.from_numpy(logits_NK).double() / temperature, torch.from_numpy(truth_N)
    grown_K = torch.zeros(logits.shape[1], dtype=torch.float64, requires_grad=True)
    bias_K = torch.zeros_like(grown_K, requires_grad=True)
    optimizer = torch.optim.LBFGS([grown_K, bias_K], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = nn.functional.cross_entropy(logits * grown_K.exp() + bias_K, truth)
        found = found + _RESTRAINT * (grown_K.square().sum() + bias_K.square().sum())
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    scale_K = (grown_K.exp() / temperature).detach().float().numpy()
    return scale_K, bias_K.detach().float().numpy()


class ScaledBranch(nn.Module):
    """A branch whose logits are scaled class by class; a confidence of its own is as it was."""

    def __init__(self, branch: nn.Module, scale_K: NDArray[np.float32], bias_K: NDArray[np.float32]) -> None:
        super().__init__()
        self.branch = branch
        self.register_buffer("scale_K", torch.from_numpy(scale_K.copy()))
        self.register_buffer("bias_K", torch.from_numpy(bias_K.copy()))

    def forward(self, *feature: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        answer = self.branch(*feature)
        logits_NK, *own = answer if isinstance(answer, tuple) else (answer,)
        scaled_NK = logits_NK * self.get_buffer("scale_K") + self.get_buffer("bias_K")
        return (scaled_NK, *own) if own else scaled_NK
