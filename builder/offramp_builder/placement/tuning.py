"""Thresholds of a set of exits: as little time as possible within an accuracy budget.

    price of a mistake λ ─► each exit's threshold, from the last to the first ─► time, accuracy ─► another price

At a given price every sample has a cost wherever it may leave, λ included where it is answered wrongly, and a cost of
going on. A threshold lets those leave for whom leaving is cheaper in sum: one pass over the scores finds the best. The
price is raised until the accuracy holds; then one threshold after the other takes what the budget still leaves.
Thresholds move over one grid, so that they do not learn single samples.

What a sample pays (see `Said`): every exit that it is asked at and passes adds its own time; where it leaves, it has
paid the way there and that branch.

# N samples, E exits, T thresholds
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GRID: Floats = 1.0 - np.geomspace(0.7, 0.0005, 48)
"""Confidences from lenient to strict: equal steps of the odds to be wrong."""
_PRICES = 12
"""Halvings, on a logarithmic scale, of the interval that the price is looked for in."""
_SWEEPS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Said:
    """What exits said about N samples, and what they take: everything that a choice looks at."""

    step_EN: NDArray[np.int64]
    """The last threshold of the grid at which the sample would leave; -1 where it would at none."""
    wrong_EN: Floats
    """1 where the branch's answer is wrong, else 0."""
    wrong_N: Floats
    """The same of the whole network."""
    leave_E: Floats
    """Seconds from the sample to this branch's answer, no other being asked."""
    added_E: Floats
    """Seconds more for a sample that is asked here and stays."""
    full: float
    """Seconds of the whole network."""

    @property
    def full_accuracy(self) -> float:
        return float(1.0 - self.wrong_N.mean())


def steps_of(confidence_N: NDArray[np.float32]) -> NDArray[np.int64]:
    """The last threshold of the grid that each confidence reaches, compared as policies compare: in float32."""
    return np.searchsorted(GRID.astype(np.float32), confidence_N, side="right").astype(np.int64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A set of exits with thresholds."""

    exits: tuple[int, ...]
    """Indices of E, in order."""
    steps: tuple[int, ...]
    """Indices of the grid; its length where nobody leaves."""
    leaves: tuple[float, ...]
    """Share of all samples that leaves at each."""
    accuracy: float
    mean: float
    """Seconds of an average sample."""

    @property
    def thresholds(self) -> tuple[float | None, ...]:
        return tuple(round(float(GRID[step]), 6) if step < len(GRID) else None for step in self.steps)


def tune(said: Said, exits: Sequence[int], drop: float) -> Tuned:
    """The fastest thresholds found at which no more than `drop` of the whole network's accuracy is lost."""
    nobody = _judged(said, exits, [len(GRID)] * len(exits))
    if not exits:
        return nobody
    least = said.full_accuracy - drop - 1e-9
    low, high = np.log(said.full * 1e-2), np.log(said.full * 1e4)
    best, nearly = nobody, None
    for _ in range(_PRICES):
        price = (low + high) / 2
        tuned = _judged(said, exits, _at_price(said, exits, float(np.exp(price))))
        if tuned.accuracy >= least:
            high = price
            best = min(best, tuned, key=lambda one: one.mean)
        else:
            low, nearly = price, tuned
    for start in (best, nearly) if nearly else (best,):
        tuned = _judged(said, exits, _within(said, exits, list(start.steps), 1.0 - least))
        if tuned.accuracy >= least:
            best = min(best, tuned, key=lambda one: one.mean)
    return best


def _at_price(said: Said, exits: Sequence[int], price: float) -> list[int]:
    leave_kN = [said.leave_E[one] + price * said.wrong_EN[one] for one in exits]
    steps = [len(GRID)] * len(exits)
    for sweep in range(_SWEEPS):
        stay_N = said.full + price * said.wrong_N
        for place in reversed(range(len(exits))):
            step_N = said.step_EN[exits[place]]
            stay_N = stay_N + said.added_E[exits[place]]
            gain_N = leave_kN[place] - stay_N
            if sweep:  # who has left before does not count here
                for before in range(place):
                    gain_N = gain_N * (said.step_EN[exits[before]] < steps[before])
            steps[place] = _best_step(gain_N, step_N)
            stay_N = np.where(step_N >= steps[place], leave_kN[place], stay_N)
    return steps


def _within(said: Said, exits: Sequence[int], steps: list[int], most_wrong: float) -> list[int]:
    """Each threshold in turn where time is least while at most `most_wrong` are wrong, the others standing still."""
    count = len(said.wrong_N)
    for _ in range(_SWEEPS):
        for place, one in enumerate(exits):
            reach_N = np.ones(count, dtype=np.bool_)
            for before in range(place):
                reach_N &= said.step_EN[exits[before]] < steps[before]
            stay_N, wrong_N = np.full(count, said.full), said.wrong_N
            for after in reversed(range(place + 1, len(exits))):
                left_N = said.step_EN[exits[after]] >= steps[after]
                stay_N = np.where(left_N, said.leave_E[exits[after]], stay_N + said.added_E[exits[after]])
                wrong_N = np.where(left_N, said.wrong_EN[exits[after]], wrong_N)
            seconds_T1 = _sums((said.leave_E[one] - stay_N - said.added_E[one]) * reach_N, said.step_EN[one])
            wrong_T1 = _sums((said.wrong_EN[one] - wrong_N) * reach_N, said.step_EN[one]) / count
            wrong_T1 += 1.0 - _judged(said, exits, [*steps[:place], len(GRID), *steps[place + 1 :]]).accuracy
            allowed_T1 = wrong_T1 <= most_wrong
            if allowed_T1.any():
                steps[place] = int(np.where(allowed_T1, seconds_T1, np.inf).argmin())
    return steps


def _sums(cost_N: Floats, step_N: NDArray[np.int64]) -> Floats:
    """[T + 1] of those who would leave at each threshold, from lenient to strict; of nobody at last."""
    cost_T = np.bincount(step_N + 1, weights=cost_N, minlength=len(GRID) + 1)[1:]
    return np.append(np.cumsum(cost_T[::-1])[::-1], 0.0)


def _best_step(cost_N: Floats, step_N: NDArray[np.int64]) -> int:
    """Where the sum of the costs of those who would leave is least; the strictest of equals."""
    return int(len(GRID) - np.argmin(_sums(cost_N, step_N)[::-1]))


def _judged(said: Said, exits: Sequence[int], steps: Sequence[int]) -> Tuned:
    stays_N = np.ones(len(said.wrong_N), dtype=np.bool_)
    seconds, wrong, leaves, added = 0.0, 0.0, [], 0.0
    for one, step in zip(exits, steps, strict=True):
        left_N = stays_N & (said.step_EN[one] >= step)
        share = float(left_N.mean())
        seconds += share * (added + float(said.leave_E[one]))
        wrong += float((said.wrong_EN[one] * left_N).mean())
        leaves.append(share)
        added += float(said.added_E[one])
        stays_N &= ~left_N
    seconds += float(stays_N.mean()) * (added + said.full)
    wrong += float((said.wrong_N * stays_N).mean())
    return Tuned(exits=tuple(exits), steps=tuple(steps), leaves=tuple(leaves), accuracy=1.0 - wrong, mean=seconds)
