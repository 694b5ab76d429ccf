"""Who leaves where, and with which label, when a policy is asked about recorded samples.

    rows of a recording ─ branch by branch, sample by sample where order counts ─► left at, label

Streams side by side, as the deployed policy meets them: of every stream one sample at a time.

# N samples, R rows of them
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.exits.policy import NO_STATE, BranchOutputs, ExitPolicy, State, rows_of

STAYED = -1
"""Left at no branch."""

Hear = Callable[[int, NDArray[np.intp]], BranchOutputs]
"""What the branch at this cut says about these rows (of N)."""


@dataclass(frozen=True, slots=True, eq=False)
class Walked:
    """Of N samples, in their order."""

    left_at_N: NDArray[np.int64]
    """Cut of the branch at which each left; STAYED where it went the whole way."""
    label_N: NDArray[np.int64]
    """What each was answered."""


def walk(
    policy: ExitPolicy,
    asked: Sequence[int],
    hear: Hear,
    final_N: NDArray[np.int64],
    stream_N: NDArray[np.int64] | None = None,
) -> Walked:
    """Follow N samples past the branches at the cuts `asked`; who stays is answered by `final_N`.

    `stream_N` says to which stream each belongs, in the order in which its samples come; None: all to one stream. Only
    temporal policies ask.
    """
    left_at_N, label_N = np.full(len(final_N), STAYED, np.int64), final_N.copy()
    if not policy.temporal:
        everybody = np.arange(len(final_N))
        _one_each(policy, asked, hear, everybody, NO_STATE, left_at_N, label_N)
        return Walked(left_at_N, label_N)
    state: State = NO_STATE
    standing: NDArray[np.intp] = np.empty(0, np.intp)
    for streams, rows in _abreast(len(final_N), stream_N):
        if len(standing) > len(streams):  # streams end; those that go on are the first ones of the step before
            state = rows_of(state, np.arange(len(streams)))
        state = _one_each(policy, asked, hear, rows, state, left_at_N, label_N)
        standing = streams
    return Walked(left_at_N, label_N)


def _one_each(
    policy: ExitPolicy,
    asked: Sequence[int],
    hear: Hear,
    rows: NDArray[np.intp],
    state: State,
    left_at_N: NDArray[np.int64],
    label_N: NDArray[np.int64],
) -> State:
    """One sample of every stream, past all branches; the state of their next samples."""
    here, parts, places = np.arange(len(rows)), [], []
    for cut in asked:
        if not len(here):
            break
        outputs = hear(cut, rows[here])
        decision, state = policy.decide(outputs, state)
        leaves = decision.leaves_N
        if leaves.any():
            labels = outputs.logits_NK.argmax(axis=1) if decision.label_N is None else decision.label_N
            left = rows[here[leaves]]
            left_at_N[left], label_N[left] = cut, labels[leaves]
            parts.append(rows_of(state, leaves))
            places.append(here[leaves])
            state, here = rows_of(state, ~leaves), here[~leaves]
    parts.append(state)
    places.append(here)
    return policy.settle(_in_order(parts, places), label_N[rows])


def _in_order(parts: list[State], places: list[NDArray[np.intp]]) -> State:
    """The states of samples that left at different branches, as one."""
    if not parts[0]:
        return NO_STATE
    back = np.argsort(np.concatenate(places))
    return tuple(np.concatenate(arrays)[back] for arrays in zip(*(part for part in parts if part), strict=True))


def _abreast(count: int, stream_N: NDArray[np.int64] | None) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Step by step: the streams that still have a sample, longest stream first, and the row of each one's next."""
    if stream_N is None:
        for row in range(count):
            yield np.zeros(1, np.intp), np.array([row])
        return
    order = np.argsort(stream_N, kind="stable")
    _, first_S, length_S = np.unique(stream_N[order], return_index=True, return_counts=True)
    longest = np.argsort(-length_S, kind="stable")
    first_S, length_S = first_S[longest], length_S[longest]
    for step in range(int(length_S.max(initial=0))):
        going = int(np.count_nonzero(length_S > step))
        yield longest[:going], order[first_S[:going] + step]
