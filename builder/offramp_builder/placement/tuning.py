"""Thresholds of a set of exits: as little time as possible within an accuracy budget.

    price of a mistake λ ─► each exit's threshold, from the last to the first ─► time, accuracy ─► another price

At a given price every sample has a cost wherever it may leave, λ included where it is answered wrongly, and a cost of
going on. A threshold lets those leave for whom leaving is cheaper in sum: one pass over the scores finds the best. The
price is raised until the accuracy holds; then one threshold after the other takes what the budget still leaves.
Thresholds move over one grid, so that they do not learn single samples.

What a sample pays (see `Said`): every exit that it is asked at and passes adds its own time; where it leaves, it has
paid the way there and that branch. An exit at which nobody leaves is not asked.

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
            # Who has left before does not count here; at first nobody is known to have.
            reach_N = _reaching(said, exits[:place], steps) if sweep else np.ones(len(stay_N), np.bool_)
            step_N, added = said.step_EN[exits[place]], float(said.added_E[exits[place]])
            cost_T1 = _costs((leave_kN[place] - stay_N) * reach_N, step_N, reach_N, added)
            steps[place] = int(len(GRID) - np.argmin(cost_T1[::-1]))  # the strictest of equals
            if steps[place] < len(GRID):
                stay_N = np.where(step_N >= steps[place], leave_kN[place], stay_N + added)
    return steps


def _within(said: Said, exits: Sequence[int], steps: list[int], most_wrong: float) -> list[int]:
    """Each threshold in turn where time is least while at most `most_wrong` are wrong, the others standing still."""
    for _ in range(_SWEEPS):
        for place, one in enumerate(exits):
            reach_N = _reaching(said, exits[:place], steps)
            stay_N, wrong_N = np.full(len(reach_N), said.full), said.wrong_N
            for after in reversed(range(place + 1, len(exits))):
                if steps[after] < len(GRID):
                    left_N = said.step_EN[exits[after]] >= steps[after]
                    stay_N = np.where(left_N, said.leave_E[exits[after]], stay_N + said.added_E[exits[after]])
                    wrong_N = np.where(left_N, said.wrong_EN[exits[after]], wrong_N)
            step_N, added = said.step_EN[one], float(said.added_E[one])
            cost_T1 = _costs((said.leave_E[one] - stay_N) * reach_N, step_N, reach_N, added)
            wrong_T1 = _sums((said.wrong_EN[one] - wrong_N) * reach_N, step_N) / len(reach_N)
            wrong_T1 += 1.0 - _judged(said, exits, [*steps[:place], len(GRID), *steps[place + 1 :]]).accuracy
            allowed_T1 = wrong_T1 <= most_wrong
            if allowed_T1.any():
                steps[place] = int(np.where(allowed_T1, cost_T1, np.inf).argmin())
    return steps


def _reaching(said: Said, exits: Sequence[int], steps: Sequence[int]) -> Flags:
    """[N] who has left at none of these exits; `steps` may go on past them."""
    reach_N = np.ones(len(said.wrong_N), dtype=np.bool_)
    for one, step in zip(exits, steps, strict=False):
        reach_N &= said.step_EN[one] < step
    return reach_N


def _costs(gain_N: Floats, step_N: NDArray[np.int64], reach_N: Flags, added: float) -> Floats:
    """[T + 1] what an exit costs in sum at each threshold, against not being asked, which is the last.

    `gain_N` is what leaving costs more than going on unasked, 0 for those who do not come here.
    """
    staying_T1 = float(reach_N.sum()) - _sums(reach_N.astype(np.float64), step_N)
    cost_T1 = _sums(gain_N, step_N) + added * staying_T1
    cost_T1[-1] = 0.0
    return cost_T1


def _sums(cost_N: Floats, step_N: NDArray[np.int64]) -> Floats:
    """[T + 1] of those who would leave at each threshold, from lenient to strict; of nobody at last."""
    cost_T = np.bincount(step_N + 1, weights=cost_N, minlength=len(GRID) + 1)[1:]
    return np.append(np.cumsum(cost_T[::-1])[::-1], 0.0)


def _judged(said: Said, exits: Sequence[int], steps: Sequence[int]) -> Tuned:
    stays_N = np.ones(len(said.wrong_N), dtype=np.bool_)
    seconds, wrong, leaves, added = 0.0, 0.0, [], 0.0
    for one, step in zip(exits, steps, strict=True):
        left_N = stays_N & (said.step_EN[one] >= step)
        share = float(left_N.mean())
        seconds += share * (added + float(said.leave_E[one]))
        wrong += float((said.wrong_EN[one] * left_N).mean())
        leaves.append(share)
        added += float(said.added_E[one]) if step < len(GRID) else 0.0
        stays_N &= ~left_N
    seconds += float(stays_N.mean()) * (added + said.full)
    wrong += float((said.wrong_N * stays_N).mean())
    return Tuned(exits=tuple(exits), steps=tuple(steps), leaves=tuple(leaves), accuracy=1.0 - wrong, mean=seconds)
