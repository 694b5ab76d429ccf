"""The protocol of an exit policy.

    a stream's samples, one after the other

    state ─ decide at its first branch ─ decide at the next … ─ answer ─ settle ─► state of the stream's next sample

Instance policies look at one sample; temporal ones also at what the stream said before. Both may be asked about many
streams at once: row i of everything belongs to the sample of the i-th stream that is still on the road.

# N samples (each of another stream), K classes, S fused scores (see `offramp.bundle.manifest.SCORES`)
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

A = TypeVar("A", bound=np.generic)
State = tuple[NDArray[Any], ...]
"""What a policy remembers: arrays whose row i belongs to the i-th stream. Opaque to everybody else, except that rows
may be taken (`rows_of`) when some samples leave. From a sample's first branch on they are as many, of the same types,
so that rows that left at different branches can be put together again."""
NO_STATE: State = ()
"""Of none of these streams anything is known."""
UNKNOWN = -1
"""The label of a sample that nobody answered."""


@dataclass(slots=True)
class BranchOutputs:
    """What one branch said about N samples."""

    cut: int
    logits_NK: NDArray[np.float32]
    scores_NS: NDArray[np.float32]


class Decision(NamedTuple):
    """Of N samples at one branch."""

    leaves_N: NDArray[np.bool_]
    label_N: NDArray[np.int64] | None = None
    """How those who leave are labelled; None: as the branch says, by its largest logit."""


def alone(leaves: bool | np.bool_) -> Decision:
    """Of one sample, which is labelled as the branch says."""
    return _LEAVES if leaves else _STAYS


class ExitPolicy(Protocol):
    """Decides, branch by branch, who is sure enough to leave, and with which label."""

    temporal: bool
    """Whether a sample is decided by what its stream said before, so that order counts."""

    def decide(self, outputs: BranchOutputs, state: State) -> tuple[Decision, State]:
        """Who leaves here; and the state of the same N samples for their next branch, or for `settle`."""
        ...

    def settle(self, state: State, label_N: NDArray[np.int64]) -> State:
        """Every sample has its answer, from whomever (UNKNOWN: from nobody): the state of the streams' next samples.

        What belongs to one sample alone is forgotten here, so policies that remember nothing else return NO_STATE.
        """
        ...


def read_only(array: NDArray[A]) -> NDArray[A]:
    """The same array, which many may hold."""
    array.flags.writeable = False
    return array


def rows_of(state: State, rows: NDArray[np.intp] | NDArray[np.bool_]) -> State:
    """The state of some of the streams."""
    return tuple(array[rows] for array in state)


NOBODY = read_only(np.array([False]))
"""A single sample stays; made once, since a device decides about one sample at a time."""
EVERYBODY = read_only(np.array([True]))
"""A single sample leaves."""
_STAYS, _LEAVES = Decision(NOBODY), Decision(EVERYBODY)


class Instance:
    """What is common to policies that look at one sample, one branch after the other."""

    temporal = False

    def settle(self, state: State, label_N: NDArray[np.int64]) -> State:
        del state, label_N
        return NO_STATE
