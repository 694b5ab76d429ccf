"""Screening: which tails are not worth running over everything.

On a few hundred samples, a quantiser is dropped when another one at its split sends fewer bytes, and on not a single
sample it was the only one of the two to be right, or to agree with the whole network. What is left out is named in the
tape's header.

# N samples
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.measure.listen import Heard
from offramp.planning.candidates import input_format
from offramp.tape.header import FINAL, CodecEntry
from offramp_evaluation.recording.workers import Codecs

MARGIN = 0.05
"""By so much a rival has to be smaller: sizes and times of two codecs that differ by less may go either way."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rival:
    """A quantiser at one split with its entropy stages: one tail, several sizes."""

    split: int
    voice: str
    names: tuple[str, ...]
    mean_bytes: float
    """Of the smallest of them."""
    right_N: NDArray[np.bool_]
    agrees_N: NDArray[np.bool_]

    def is_beaten_by(self, other: "_Rival") -> bool:
        return (
            other.mean_bytes < (1 - MARGIN) * self.mean_bytes
            and not (self.right_N & ~other.right_N).any()
            and not (self.agrees_N & ~other.agrees_N).any()
        )


def screened(
    heard: Heard, entries: Sequence[CodecEntry], truth_N: NDArray[np.int64], protected: Collection[tuple[int, str]]
) -> tuple[Codecs, list[str]]:
    """The codecs that are left, and a line on each quantiser that was dropped.

    Those in `protected` (split, codec) stay. At the input, only codecs of one format are rivals: every table has a row
    for PNG, one for JPEG, and so on. What loses nothing stays as well: no tail is run for it.
    """
    rivals = _rivals(heard, entries, truth_N)
    dropped: dict[str, str] = {}
    for one in rivals:
        if one.voice == FINAL or any((one.split, name) in protected for name in one.names):
            continue
        for other in rivals:
            if _compete(one, other) and other.voice not in dropped and one.is_beaten_by(other):
                dropped[one.voice] = (
                    f"{one.split}:{'/'.join(one.names)} ({one.mean_bytes:.0f} bytes, never better than "
                    f"{min(other.names, key=len)} with {other.mean_bytes:.0f})"
                )
                break
    kept: dict[int, list[str]] = {entry.split: [] for entry in entries}
    for entry in entries:
        if entry.voice not in dropped:
            kept[entry.split].append(entry.codec)
    return tuple((split, tuple(names)) for split, names in kept.items()), list(dropped.values())


def _rivals(heard: Heard, entries: Sequence[CodecEntry], truth_N: NDArray[np.int64]) -> list[_Rival]:
    full_N = heard.logits[FINAL].argmax(axis=1)
    grouped: dict[tuple[int, str, str], list[str]] = {}
    for entry in entries:
        # Several formats at one split may lose nothing: then they share the voice and are still different ways.
        quantiser = entry.codec.partition("+")[0]
        grouped.setdefault((entry.split, entry.voice, quantiser), []).append(entry.codec)
    rivals = []
    for (split, voice, _), names in grouped.items():
        label_N = heard.logits[voice].argmax(axis=1)
        rivals.append(
            _Rival(
                split=split,
                voice=voice,
                names=tuple(names),
                mean_bytes=min(float(heard.payload_bytes[split, name].mean()) for name in names),
                right_N=label_N == truth_N,
                agrees_N=label_N == full_N,
            )
        )
    return rivals


def _compete(one: _Rival, other: _Rival) -> bool:
    if one is other or one.split != other.split:
        return False
    return one.split > 0 or input_format(one.names[0]) == input_format(other.names[0])
