"""How long one waits for a resource that serves first in, first out.

Allen and Cunneen's approximation of a G/G/1 queue (Probability, Statistics, and Queueing Theory, 1990, section 5.3),
with the correction of Kraemer and Langenbach-Belz (1976) for arrivals that are more regular than Poisson's:

    wait = service * load / (1 - load) * (ca + cs) / 2 * exp(-2 (1 - load) / (3 load) * (1 - ca)² / (ca + cs))

with the squared coefficients of variation ca of the gaps between arrivals and cs of the service. Exact for Poisson
arrivals (ca = 1). Frames that come in step wait for nobody as long as each is done before the next.

# C candidates
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FULL = 0.95
"""Busy for a larger share of the time, a resource is overloaded: the plan is infeasible, not merely slow."""
_TINY = 1e-12
"""Where arithmetic would divide by nothing."""


@dataclass(frozen=True, slots=True)
class Irregularity:
    """What arrivals and service contribute to waiting, whatever the load."""

    half_C: Floats
    """(ca + cs) / 2."""
    damping_C: Floats | None
    """-2/3 (1 - ca)² / (ca + cs); None for Poisson arrivals, which are not damped."""

    def at(self, places: NDArray[np.intp]) -> "Irregularity":
        return Irregularity(self.half_C[places], None if self.damping_C is None else self.damping_C[places])


def irregularity(arrival_C: Floats | float, service_C: Floats) -> Irregularity:
    """Of squared coefficients of variation; arrivals are at most as irregular as Poisson's (1)."""
    both_C = np.asarray(arrival_C + service_C, dtype=np.float64)
    damping_C = -2 / 3 * (1.0 - np.asarray(arrival_C, dtype=np.float64)) ** 2 / (both_C + _TINY)
    return Irregularity(0.5 * both_C, damping_C if damping_C.any() else None)


def waiting(load_C: Floats, service_C: Floats, irregular: Irregularity, overload: float) -> Floats:
    """Mean seconds of waiting; `overload` where the resource is busy for `FULL` of the time or more."""
    idle_C = 1.0 - load_C
    np.maximum(idle_C, 1.0 - FULL, out=idle_C)
    wait_C = service_C * load_C
    wait_C /= idle_C
    wait_C *= irregular.half_C
    if irregular.damping_C is not None:
        idle_C *= irregular.damping_C
        idle_C /= load_C + _TINY
        wait_C *= np.exp(idle_C, out=idle_C)
    wait_C[load_C >= FULL] = overload
    return wait_C
