"""What is replayed: some devices with their plans and arrivals, their link, and the edge that they share."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.errors import BundleError, SettingsError
from offramp.measure.profile import Profile
from offramp.tape.reader import Tape
from offramp.units import Seconds
from offramp_edge_server.settings import EdgeSettings
from offramp_evaluation.replay.drivers import Driver
from offramp_evaluation.traces.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeviceScript:
    """One device of a scenario."""

    name: str
    rows: NDArray[np.intp]
    """[M] rows of the tape, in the order of arrival."""
    arrivals: NDArray[np.float64]
    """[M] seconds since the start, never falling."""
    driver: Driver
    profile: Profile


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenario:
    """Everything that a replay depends on: the same scenario gives the same Results, byte for byte."""

    tape: Tape
    manifest: Manifest
    devices: tuple[DeviceScript, ...]
    edge: Profile
    up: Trace
    down: Trace
    stack: Seconds = Seconds(0.0)
    """What sockets, threads and serialisation at both ends add to a round trip, beyond the link."""
    overhead: Seconds = Seconds(0.0)
    """What a device's source and threads add to each sample before its first stage begins, with nothing waiting."""
    shared_link: bool = False
    """Whether the devices share one link, or each has one of its own that follows the same trace."""
    deadline: Seconds = Seconds(1.0)
    queue: int = 8
    """Samples that may wait for a device's first stage."""
    edge_settings: EdgeSettings = field(default_factory=EdgeSettings)

    def __post_init__(self) -> None:
        if self.tape.header.model_digest != self.manifest.model_digest:
            raise BundleError(
                f"the tape {self.tape.path} is of model {self.tape.header.model_digest[:12]}, not of the bundle's "
                f"{self.manifest.model_digest[:12]}; record it again"
            )
        for device in self.devices:
            if len(device.rows) != len(device.arrivals) or not len(device.rows):
                raise SettingsError(
                    f"device {device.name} has {len(device.rows)} samples and {len(device.arrivals)} arrivals; give "
                    f"each sample one, and at least one sample"
                )
