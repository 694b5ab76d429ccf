"""Which exits to keep: the set that takes an average sample least time within the accuracy budget.

An exit is worth the time that those who leave save, minus what all others pay for having been asked: the utility of
Apparate's ramps (Dai and others, SOSP 2024), here on wall clock, with all thresholds tuned anew for each set. The
greedy search of ETRI's exhaustive placement (Park, Lee, Moon, ICTC 2021) adds the best one until nothing is gained.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from math import comb

import numpy as np

from offramp_builder.placement.tuning import Said, Tuned, tune

EXACTLY = 1_500
"""Sets that are tried one by one: all those of up to three out of 19."""
_GAIN = 1e-3
"""Share of the time that an exit must save; less is noise of the clock."""


def choose(
    said: Said, most: int, drop: float, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Tuned:
    """The best set of at most `most` exits found; of all sets where they are few.

    `progress` is called with the sets tried, and how many there are in all likelihood.
    """
    count = len(said.leave_E)
    most = min(most, count)
    total = sum(comb(count, size) for size in range(1, most + 1))
    exact = total <= EXACTLY
    tries = _Tries(said, drop, progress, total if exact else (most + 1) * count)
    best = _greedily(tries, count, most)
    if exact:
        for size in range(1, most + 1):
            for exits in combinations(range(count), size):
                best = _better(best, tries(exits))
    return best


def best_alone(said: Said, drop: float) -> Tuned:
    """The best single exit at which somebody leaves within the budget, whether or not it saves time here; else none.

    Where the whole network is as fast as stopping on the way, an exit still spares the uplink.
    """
    alone = [tune(_asked_at(said, one), (one,), drop) for one in range(len(said.leave_E))]
    useful = [one for one in alone if one.leaves[0] > 0]
    return min(useful, key=lambda one: one.mean, default=tune(said, (), drop))


def _asked_at(said: Said, one: int) -> Said:
    """Where everybody pays for being asked there, whether or not somebody leaves."""
    return replace(said, added_E=np.zeros_like(said.added_E), full=said.full + float(said.added_E[one]))


class _Tries:
    """Tunes each set once."""

    def __init__(self, said: Said, drop: float, progress: Callable[[int, int], None], total: int) -> None:
        self._said, self._drop, self._progress, self._total = said, drop, progress, total
        self._known: dict[tuple[int, ...], Tuned] = {}

    def __call__(self, exits: Sequence[int]) -> Tuned:
        key = tuple(sorted(exits))
        if key not in self._known:
            self._known[key] = tune(self._said, key, self._drop)
            self._progress(len(self._known), max(self._total, len(self._known)))
        return self._known[key]


def _greedily(tries: _Tries, count: int, most: int) -> Tuned:
    """Add the exit that saves most, then exchange one for another, until nothing is gained."""
    best = tries(())
    while True:
        kept = set(best.exits)
        sets = [kept | {one} for one in range(count) if one not in kept] if len(kept) < most else []
        found = min((tries(tuple(one)) for one in sets), key=lambda one: one.mean, default=best)
        if _better(best, found) is best:
            exchanged = [(kept - {old}) | {new} for old in kept for new in range(count) if new not in kept]
            found = min((tries(tuple(one)) for one in exchanged), key=lambda one: one.mean, default=best)
        if _better(best, found) is best:
            return best
        best = found


def _better(best: Tuned, other: Tuned) -> Tuned:
    """The other one where it saves time that counts; of sets that take the same, the smaller one is kept."""
    needed = _GAIN * max(1, len(other.exits) - len(best.exits))
    return other if other.mean < best.mean * (1 - needed) else best
