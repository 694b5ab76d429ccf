"""One run of a sweep: everything that a replay depends on, as a value that can be sent to whoever performs it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp import __version__
from offramp.measure.profile import Profile
from offramp_evaluation.sweep.links import TwoWays


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """A bundle, what it said on tape, and what it takes on two hosts."""

    name: str
    bundle: Path
    tape: Path
    model_digest: str
    tape_digest: str
    device: Profile
    edge: Profile
    profiles_digest: str
    """Of both of them."""
    subset: str
    data: str = ""
    """Where the samples behind the tape are, for live runs; empty: not said."""

    @property
    def key(self) -> str:
        """What has to be opened for it."""
        return f"{self.model_digest} {self.tape_digest}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arriving:
    """When samples come: `fixed` or `poisson` at a rate, or as a file says."""

    name: str
    times: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cell:
    """One value for each key of a scenario."""

    network: Network
    link: TwoWays
    shared: bool
    rate: float
    samples: int
    devices: int
    arriving: Arriving
    slowdown: float
    edge_slowdown: float
    power: float | None
    radio: str
    objective: str
    strategies: tuple[str, ...]
    baselines: tuple[str, ...]
    seed: int
    live: bool = False
    """Performed for real: another run than its replay."""
    axes: Mapping[str, str] = field(default_factory=dict)
    """Key of the scenario file to this run's value, as text."""

    @property
    def name(self) -> str:
        """That of its folder: the same for the same run, whichever sweep it is in."""
        return self.digest()[:16]

    def digest(self) -> str:
        """Of all that its record depends on, the contents of files included; paths are of no account."""
        return sha256(json.dumps(self._contents(), sort_keys=True).encode()).hexdigest()

    def _contents(self) -> dict[str, Any]:
        network, times = self.network, self.arriving.times
        return {
            "offramp": __version__,
            "network": [network.model_digest, network.tape_digest, network.profiles_digest, network.subset],
            "link": [self.link.name, self.link.digest(), self.shared],
            "load": [self.rate, self.samples, self.devices, self.arriving.name],
            "arrivals": None if times is None else sha256(times.tobytes()).hexdigest(),
            "hosts": [self.slowdown, self.edge_slowdown, self.power, self.radio],
            "rows": [self.objective, self.strategies, self.baselines],
            "seed": self.seed,
            **({"live": True} if self.live else {}),
        }
