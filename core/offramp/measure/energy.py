"""Energy on the device, by a stated model: nothing here is measured, and every number carries the model's label.

    energy = compute power × seconds computing
           + (radio's base power × seconds on air + joules per bit × bits), up and down

A radio's tail (seconds of raised power after the last packet: 11 s on LTE) is not in it, nor is idling; both are the
same for every strategy that sends now and then, and dominate where one never sends. See `RADIOS` for the sources.

# N samples
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offramp.registry import Catalogue

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Radio:
    """Power while transferring at t bits per second: `base_w + joules_per_bit * t`."""

    name: str
    source: str
    base_w: float
    up_joules_per_bit: float
    down_joules_per_bit: float


_HUANG = "Huang et al., MobiSys 2012, table 4"
"""Published in mW and mW per Mbit/s, which is 1e-9 joules per bit."""

RADIOS: Catalogue[Radio] = Catalogue(
    "radio",
    [
        (name, Radio(name=name, source=_HUANG, base_w=base, up_joules_per_bit=up, down_joules_per_bit=down))
        for name, base, up, down in (
            ("lte", 1.28804, 438.39e-9, 51.97e-9),
            ("3g", 0.81788, 868.98e-9, 122.12e-9),
            ("wifi", 0.13286, 283.17e-9, 137.01e-9),
        )
    ]
    # A wired board: what its computing costs, alone.
    + [("none", Radio(name="none", source="by definition", base_w=0, up_joules_per_bit=0, down_joules_per_bit=0))],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyModel:
    """A board's power while it computes (above idle), and its radio."""

    compute_w: float
    radio: Radio

    def __post_init__(self) -> None:
        if not self.compute_w >= 0:
            raise ValueError(f"a board draws 0 W or more while it computes, not {self.compute_w}")

    @property
    def label(self) -> str:
        """To stand beside every number: `modelled: 3.5 W computing, lte (…), tail and idling not counted`."""
        radio = f"{self.radio.name} radio ({self.radio.source})"
        return f"modelled: {self.compute_w:g} W computing, {radio}, radio tail and idling not counted"

    def joules(
        self,
        *,
        compute: ArrayLike,
        up_bytes: ArrayLike = 0.0,
        up_seconds: ArrayLike = 0.0,
        down_bytes: ArrayLike = 0.0,
        down_seconds: ArrayLike = 0.0,
    ) -> Floats:
        """[N] joules per sample, from seconds computing, bytes on the wire and seconds that they were on air."""
        on_air = np.asarray(up_seconds, np.float64) + np.asarray(down_seconds, np.float64)
        sent = self.radio.up_joules_per_bit * 8 * np.asarray(up_bytes, np.float64)
        received = self.radio.down_joules_per_bit * 8 * np.asarray(down_bytes, np.float64)
        total: Floats = self.compute_w * np.asarray(compute, np.float64) + self.radio.base_w * on_air + sent + received
        return total
