"""What a manifest is made of: tensors, cuts, stages, branches, segments, other heads and learned bottlenecks.

Each is a value that says what it is; the manifest says how they go together.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from offramp.bundle.jsonform import UNLESS_DEFAULT
from offramp.errors import BundleError
from offramp.units import Bytes

_BOTTLENECK = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_BOTTLENECK = 24
"""Characters of a bottleneck's name: it is part of the name of each of its codecs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One tensor at a cut."""

    shape: tuple[int, ...]
    """Without the batch dimension."""
    dtype: str
    """numpy name: float32, uint8, int16, …"""
    low: float = 0.0
    high: float = 0.0
    """The range from calibration that fixed-range codecs quantise; equal where none was taken."""

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> Bytes:
        return Bytes(self.elements * np.dtype(self.dtype).itemsize)


@dataclass(frozen=True, slots=True, kw_only=True)
class CutSpec:
    """A boundary at which the network can be divided."""

    name: str
    """The outermost module whose call ends there; `input` and `output` at the ends."""
    tensors: tuple[TensorSpec, ...]
    """Of several, a branch reads the first."""
    split: bool = field(default=True, metadata=UNLESS_DEFAULT)
    """Whether a plan may split here; not inside a block, where several tensors are alive."""

    @property
    def nbytes(self) -> Bytes:
        """Size of the feature as the network computes it."""
        return Bytes(sum(tensor.nbytes for tensor in self.tensors))


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """The piece of the network between two neighbouring cuts."""

    macs: int
    """Multiply-accumulates for one sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchSpec:
    """An exit classifier hanging on a cut."""

    cut: int
    kind: str
    macs: int
    temperature: float
    """Divides the logits before the scores are taken; the logits themselves are raw."""
    accuracy: float | None = None
    """Alone, on the calibration split, in [0, 1]; None when untrained."""
    scaling: str = field(default="temperature", metadata=UNLESS_DEFAULT)
    """What calibrated it; `vector` is a scale and a bias for each class that are part of its logits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSpec:
    """One ONNX graph: the stages from one kept cut to another, with or without the branch at its end.

    A cut inside a block is the start or the stop of a segment only where its branch is asked.

    Via a bottleneck, it ends in the code or begins with it: of both, the end that is at the bottleneck's cut. From that
    cut to itself it is the encoder alone, for a sample that stopped there to be asked.

    Inputs are named `feature_0 …` (each [N, *shape]); outputs are, in this order, `feature_0_out …` unless it ends at
    cut n, then `logits` [N, K] and `scores` [N, 4] when it ends in a branch or at cut n.
    """

    start: int
    stop: int
    branch: bool
    file: str
    """Path inside the bundle, with forward slashes."""
    via: str = field(default="", metadata=UNLESS_DEFAULT)
    """The bottleneck whose code it ends in, or begins with; empty on the road itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSpec:
    """Another form of the stages and branches that a device runs: the same network in other arithmetic."""

    name: str
    """What plans call it: `int8`. The bundle's own head, in float32, has none."""
    segments: tuple[SegmentSpec, ...]
    """In the place of the bundle's own segments between the same cuts; features cross in float32 all the same."""
    agreement: tuple[tuple[int, float], ...]
    """(cut, share of samples) that the branch there, or the end, labels as the bundle's own does."""
    samples: int
    """That the agreement was counted on; nothing about the head was chosen by them."""
    how: Mapping[str, str] = field(default_factory=dict)
    """It came to be, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BottleneckSpec:
    """A learned bottleneck: a detour around one cut."""

    name: str
    """First in the name of its codecs: `slim` of `slim/affine4:8+range`."""
    cut: int
    tensor: TensorSpec
    """The code: [C, …] float32 in [0, 1], the most important channels first; one that was not sent reads 0."""
    encoder_macs: int
    tail_macs: int
    """All that the edge executes after the code, decoder and tail."""
    own_tail: bool
    """Its tail was trained with it, and passes none of the network's branches."""
    codecs: tuple[str, ...] = ()
    """What is worth trying on its code, without its name: `affine4:8+range`, …"""

    @property
    def channels(self) -> int:
        """C."""
        return self.tensor.shape[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredCut:
    """A cut that the network has, kept or not."""

    name: str
    macs: int
    """Operations of one sample up to here."""
    nbytes: Bytes
    kept: int | None
    """Its index among the kept cuts, None when it was not kept."""
    split: bool = field(default=True, metadata=UNLESS_DEFAULT)
    """Not inside a block: there only branches hang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    sha256: str
    nbytes: Bytes


def check_bottlenecks(bottlenecks: Sequence[BottleneckSpec], cuts: Sequence[CutSpec]) -> None:
    """Refuse bottlenecks that no plan could name or use.

    Raises:
        BundleError: A name or a place is impossible, or given twice, or a code is none; the message says which.
    """
    names = [spec.name for spec in bottlenecks]
    for spec in bottlenecks:
        if not _BOTTLENECK.fullmatch(spec.name) or len(spec.name) > MAX_BOTTLENECK:
            raise BundleError(
                f"a bottleneck is called {spec.name[:80]!r}; take at most {MAX_BOTTLENECK} lower-case letters, digits "
                "and dashes, beginning with a letter"
            )
        if names.count(spec.name) > 1:
            raise BundleError(f"two bottlenecks are called {spec.name}; give each a name of its own")
        if not 0 < spec.cut < len(cuts) - 1 or not cuts[spec.cut].split:
            raise BundleError(
                f"the bottleneck {spec.name} leads around cut {spec.cut}; it has to be an inner cut that a plan may "
                "split at"
            )
        tensor = spec.tensor
        if tensor.dtype != "float32" or (tensor.low, tensor.high) != (0.0, 1.0) or not tensor.shape:
            raise BundleError(
                f"the code of the bottleneck {spec.name} is {tensor.dtype}{list(tensor.shape)} from {tensor.low:g} to "
                f"{tensor.high:g}; a code is float32 [C, …] from 0 to 1"
            )
