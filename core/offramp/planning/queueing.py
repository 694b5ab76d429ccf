"""How long one waits for a resource that serves first in, first out.

Allen and Cunneen's approximation of a G/G/1 queue (Probability, Statistics, and Queueing Theory, 1990, section 5.3),
with the correction of Kraemer and Langenbach-Belz (1976) for arrivals that are more regular than Poisson's:

    wait = service * load / (1 - load) * (ca + cs) / 2 * exp(-2 (1 - load) / (3 load) * (1 - ca)² / (ca + cs))

with the squared coefficients of variation ca of the gaps between arrivals and cs of the service. Exact for Poisson
arrivals (ca = 1). Frames that come in step wait for nobody as long as each is done before the next.

# C candidates; arrays broadcast
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FULL = 0.95
"""Busy for a larger share of the time, a resource is overloaded: the plan is infeasible, not merely slow."""
_TINY = 1e-12
"""Where arithmetic would divide by nothing."""


def waiting(
    rate: float | Floats, service: Floats, service_variation: Floats, arrival_variation: float | Floats, overload: float
) -> Floats:
    """Mean seconds of waiting; `overload` where the resource is busy for `FULL` of the time or more.

    `rate` arrivals per second take `service` seconds each; variations are squared coefficients of variation.
    """
    load = rate * service
    idle = np.maximum(1.0 - load, 1.0 - FULL)
    both = arrival_variation + service_variation
    wait = service * load
    wait /= idle
    wait *= 0.5 * both
    irregular = np.asarray(arrival_variation)
    if (irregular < 1.0).any():
        exponent: NDArray[Any] = idle * ((-2.0 / 3.0) * (1.0 - irregular) ** 2 / (both + _TINY))
        exponent /= load + _TINY
        wait *= np.exp(exponent, out=exponent)
    wait[load >= FULL] = overload
    return wait
