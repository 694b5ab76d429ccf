"""Observations: what exits, splits and codecs can turn into an answer, for M samples.

    samples ─► Listener ─► Heard ─┐
                                  ├─► Observations ─► candidates
    tape ─────────────────────────┘

A network that was just run and one that was recorded are judged alike.

# M samples, S fused scores
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.store import Bundle
from offramp.measure.listen import Listener, Progress
from offramp.records import Array
from offramp.runtime.runtime import Runtime
from offramp.tape.header import FINAL, branch_voice
from offramp.tape.reader import Tape


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeAnswers:
    """What the edge would answer at one split through one codec."""

    labels_M: NDArray[np.int64]
    payload_bytes_M: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Everything that exits, splits and codecs can turn into an answer, for M samples."""

    branch_labels: Mapping[int, NDArray[np.int64]]
    """By the branch's cut: [M]."""
    branch_scores: Mapping[int, NDArray[np.float32]]
    """By the branch's cut: [M, S]."""
    final_labels_M: NDArray[np.int64]
    """The whole network on the device: nothing is sent."""
    edge: Mapping[tuple[int, str], EdgeAnswers]
    """By (split, codec)."""


def observe(
    bundle: Bundle,
    runtime: Runtime,
    samples: Array,
    codecs: Mapping[int, Sequence[str]],
    progress: Progress = lambda _done, _total: None,
    head: Runtime | None = None,
) -> Observations:
    """Run samples [M, *shape] through every branch, and through every codec of `codecs` (by split).

    `progress` is called with (samples done, samples in all). A `head` runs in the place of the bundle's own.
    """
    listener = Listener(bundle, runtime, codecs, head)
    heard = listener.hear(samples, progress)
    labels = {voice: logits_MK.argmax(axis=1) for voice, logits_MK in heard.logits.items()}
    return Observations(
        branch_labels={cut: labels[branch_voice(cut)] for cut in listener.branches},
        branch_scores={cut: heard.scores[branch_voice(cut)] for cut in listener.branches},
        final_labels_M=labels[FINAL],
        edge={
            (entry.split, entry.codec): EdgeAnswers(
                labels_M=labels[entry.voice], payload_bytes_M=heard.payload_bytes[entry.split, entry.codec]
            )
            for entry in listener.entries
        },
    )


def recorded(tape: Tape, subset: str) -> Observations:
    """What a tape holds about its samples of one subset, in the order of `tape.rows(subset)`.

    Raises:
        TapeError: No sample is of this subset, or the tape cannot be read.
    """
    rows = tape.rows(subset)
    branches = {}
    for cut in tape.header.branches:
        voice = tape.branch(cut)
        assert voice.scores_NS is not None  # only tails carry none
        branches[cut] = (voice.label_N[rows], voice.scores_NS[rows])
    labels = {entry.voice: tape.voice(entry.voice).label_N[rows] for entry in tape.header.codecs}
    return Observations(
        branch_labels={cut: said for cut, (said, _) in branches.items()},
        branch_scores={cut: scores_MS for cut, (_, scores_MS) in branches.items()},
        final_labels_M=tape.final().label_N[rows],
        edge={
            (entry.split, entry.codec): EdgeAnswers(
                labels_M=labels[entry.voice],
                payload_bytes_M=tape.payload_bytes(entry.split, entry.codec)[rows].astype(np.int64),
            )
            for entry in tape.header.codecs
        },
    )
