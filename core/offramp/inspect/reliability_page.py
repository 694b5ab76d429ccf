"""Reliability of a bundle's exits: how far each is off, and a diagram for the terminal.

# N samples, K classes
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import SCORES, Manifest
from offramp.errors import SettingsError
from offramp.exits.evidence import Evidence
from offramp.exits.losses import probabilities
from offramp.exits.reliability import Bin, Floats, Reliability, reliability
from offramp.inspect.table import format_table

BAR = 40
"""Characters of a share of 1."""
Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """A branch, or the end."""

    cut: int
    name: str
    raw: Reliability
    """By the logits as they are."""
    calibrated: Reliability
    """By what exit policies read."""


def exits_of(evidence: Evidence, manifest: Manifest) -> list[Exit]:
    """Every branch, then the end.

    Raises:
        SettingsError: Nobody knows the truth of some samples.
    """
    if unknown := int((evidence.truth_N < 0).sum()):
        raise SettingsError(f"nobody knows the right class of {unknown:,} samples; give samples that have labels")
    found = []
    for cut in sorted(evidence.logits):
        logits_NK = evidence.logits[cut]
        confidence_N = evidence.scores[cut][:, SCORES.index("confidence")].astype(np.float64)
        found.append(_exit(cut, manifest.cuts[cut].name, logits_NK, confidence_N, evidence))
    calm_NK = probabilities(evidence.final_NK, manifest.final_temperature)
    found.append(_exit(manifest.end, "the end", evidence.final_NK, calm_NK.max(axis=1), evidence))
    return found


def reliability_page(exits: Sequence[Exit], samples: int, looked_at: str) -> str:
    """For people: how far each is off, before and after, and one diagram each."""
    rows = [
        (
            str(one.cut),
            one.name,
            f"{100 * one.calibrated.accuracy:.1f} %",
            f"{100 * one.calibrated.confidence:.1f} %",
            f"{100 * one.raw.width_error:.2f} %",
            f"{100 * one.calibrated.width_error:.2f} %",
            f"{100 * one.raw.mass_error:.2f} %",
            f"{100 * one.calibrated.mass_error:.2f} %",
        )
        for one in exits
    ]
    headers = ("cut", "exit", "accuracy", "confidence", "width, raw", "calibrated", "mass, raw", "calibrated")
    parts = [
        f"expected calibration error over {samples:,} samples, by bins of equal width and of equal mass",
        format_table(headers, rows, right=(0, 2, 3, 4, 5, 6, 7)),
        *(f"{one.name}, calibrated\n{_diagram(one.calibrated.bins)}" for one in exits),
    ]
    if looked_at:
        parts.append(f"caution: {looked_at}")
    return "\n\n".join(parts)


def _diagram(bins: Sequence[Bin]) -> str:
    """A bar for what came true in each bin, and a mark for what was said."""
    rows = []
    for one in bins:
        bar = list("█" * round(BAR * one.accuracy) + " " * (BAR - round(BAR * one.accuracy)))
        bar[min(BAR - 1, round(BAR * one.confidence))] = "│"
        rows.append(
            (
                f"{100 * one.low:.0f} to {100 * one.high:.0f} %",
                f"{one.samples:,}",
                f"{100 * one.accuracy:.0f} %",
                "".join(bar),
            )
        )
    return format_table(("confidence", "samples", "right", "█ right, │ said"), rows, right=(0, 1, 2))


def _exit(cut: int, name: str, logits_NK: Logits, confidence_N: Floats, evidence: Evidence) -> Exit:
    right_N = logits_NK.argmax(axis=1) == evidence.truth_N
    raw_N = probabilities(logits_NK).max(axis=1)
    return Exit(cut=cut, name=name, raw=reliability(raw_N, right_N), calibrated=reliability(confidence_N, right_N))
