"""What branches and network said about samples that nobody learned from: what promises about exits rest on.

    a tape ─────────────────────────┐
    calibration samples, just run ──┴─► Evidence ─► walk a rule ─► losses ─► units ─► risk control

A unit is what is independent of the other units: a sample, or all samples of one group (the beats of a patient, the
frames of a scene), or a block of neighbours in a stream.

# N samples, K classes, S fused scores, M units
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from offramp.data.dataset import positions
from offramp.errors import SettingsError, TapeError
from offramp.exits.policy import BranchOutputs
from offramp.tape.header import branch_voice
from offramp.tape.reader import Tape, Voice

UNSAID = -1e4
"""The logit of a class that a tape of the best few does not hold: its probability is 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where evidence is from."""

    data: str
    """Name of the data set."""
    digest: str
    """Of its samples and labels."""
    subset: str
    seed: int
    """With which the data set was dealt out."""
    whole: bool = False
    """Whether the digest is of the whole data set, as a bundle's provenance has it; else of the samples alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Of N samples, in the order in which they came."""

    origin: Origin
    logits: Mapping[int, NDArray[np.float32]]
    """[N, K] by the branch's cut."""
    scores: Mapping[int, NDArray[np.float32]]
    """[N, S] by the branch's cut."""
    final_NK: NDArray[np.float32]
    """Logits of the whole network."""
    truth_N: NDArray[np.int64]
    """-1 where nobody knows."""
    group_N: NDArray[np.int64]
    stream_N: NDArray[np.int64]
    """A number for the stream that each belongs to."""

    def __len__(self) -> int:
        return len(self.truth_N)

    @property
    def final_label_N(self) -> NDArray[np.int64]:  # noqa: N802 - a column
        label_N: NDArray[np.int64] = self.final_NK.argmax(axis=1)
        return label_N

    def hear(self, cut: int, rows: NDArray[np.intp]) -> BranchOutputs:
        """As `offramp.exits.walk.walk` asks."""
        return BranchOutputs(cut, self.logits[cut][rows], self.scores[cut][rows])

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Evidence":
        """These samples alone: in their order by a mask, in that of the rows otherwise."""
        return replace(
            self,
            logits={cut: logits_NK[rows] for cut, logits_NK in self.logits.items()},
            scores={cut: scores_NS[rows] for cut, scores_NS in self.scores.items()},
            final_NK=self.final_NK[rows],
            truth_N=self.truth_N[rows],
            group_N=self.group_N[rows],
            stream_N=self.stream_N[rows],
        )


def evidence_of(tape: Tape, subset: str) -> Evidence:
    """What a tape holds about its samples of one subset.

    Raises:
        TapeError: No sample is of this subset, or the tape cannot be read.
    """
    rows = tape.rows(subset)
    header = tape.header
    voices = {cut: tape.branch(cut) for cut in header.branches}
    scores = {}
    for cut, voice in voices.items():
        if voice.scores_NS is None:
            raise TapeError(f"{tape.path} holds no scores of {branch_voice(cut)}; record it again")
        scores[cut] = voice.scores_NS[rows]
    return Evidence(
        origin=Origin(
            data=header.data, digest=header.data_digest, subset=subset, seed=int(header.provenance.get("seed", "0"))
        ),
        logits={cut: _all_logits(voice, rows, header.classes) for cut, voice in voices.items()},
        scores=scores,
        final_NK=_all_logits(tape.final(), rows, header.classes),
        truth_N=tape.truth_N[rows].astype(np.int64),
        group_N=tape.group_N[rows],
        stream_N=numbered(tape.stream_N[rows]),
    )


def numbered(stream_N: NDArray[np.str_]) -> NDArray[np.int64]:
    """A number for each name."""
    _, number_N = np.unique(stream_N, return_inverse=True)
    numbers_N: NDArray[np.int64] = number_N.astype(np.int64)
    return numbers_N


def _all_logits(voice: Voice, rows: slice | NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    kept_Nk = voice.logits_Nk[rows].astype(np.float32)
    if voice.classes_Nk is None:
        return kept_Nk
    logits_NK = np.full((len(kept_Nk), classes), UNSAID, np.float32)
    np.put_along_axis(logits_NK, voice.classes_Nk[rows].astype(np.int64), kept_Nk, axis=1)
    return logits_NK


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """What counts as one draw."""

    number_N: NDArray[np.int64]
    """Of each sample: the unit that it belongs to."""
    name: str
    """For people, in the singular: `sample`, `group`, `block of 50 samples`."""

    @property
    def count(self) -> int:
        return len(np.unique(self.number_N))

    @property
    def many(self) -> str:
        """For people: `2,513 samples`."""
        first, _, rest = self.name.partition(" ")
        return f"{self.count:,} {first}{'' if self.count == 1 else 's'}{' ' + rest if rest else ''}"


def units_of(evidence: Evidence, *, temporal: bool, block: int | None = None) -> Units:
    """Groups where samples come in groups; else single samples, unless the policy remembers what its stream said.

    `block` cuts streams into blocks of so many neighbours instead, whatever their groups: a promise for these very
    streams.

    Raises:
        SettingsError: A temporal policy, single samples, and no block; or a block that is none.
    """
    if block is not None:
        if block < 1:
            raise SettingsError(f"a block of {block} samples holds nothing; give at least 1")
        place_N = positions(evidence.stream_N.astype(np.str_)) // block
        _, number_N = np.unique(np.stack([evidence.stream_N, place_N]), axis=1, return_inverse=True)
        return Units(number_N=number_N.reshape(-1).astype(np.int64), name=f"block of {block} samples")
    if len(np.unique(evidence.group_N)) < len(evidence):
        return Units(number_N=evidence.group_N, name="group")
    if temporal:
        raise SettingsError(
            "a temporal policy decides by the samples before, so single samples are no independent units here; "
            "give --block N, the samples after which a stream may be taken to have forgotten"
        )
    return Units(number_N=evidence.group_N, name="sample")
