"""UCB1: of several arms, the one that may still be the best (Auer, Cesa-Bianchi and Fischer, Machine Learning 2002).

    index = mean reward + explore * sqrt(ln(samples + 1) / plays)

With a window, what is old is forgotten, by a factor of 1 - 1 / window per sample (discounted UCB: Garivier and
Moulines, ALT 2011): then an arm whose reward has changed is found again, at the price of exploring for ever.

# A arms
"""

from collections.abc import Mapping
from math import inf

import numpy as np

from offramp.errors import SettingsError
from offramp.planning.roads import Floats


class Bandit:
    """Every arm is played once, the last first; then the highest index. Ties go to the last."""

    def __init__(self, arms: int, *, explore: float = 1.0, window: float = inf) -> None:
        """
        Raises:
            SettingsError: The window is no number of samples of at least 2, or explore is negative.
        """
        if not window >= 2:
            raise SettingsError(f"window={window:g} remembers nothing; give at least 2 samples, or leave it out")
        if not 0 <= explore < inf:
            raise SettingsError(f"explore={explore:g} is no weight; give 0 or more, 1 as in the paper")
        self._explore, self._keep = explore, 1.0 - 1.0 / window
        self._samples = 0.0
        self._met_A = np.zeros(arms, dtype=np.bool_)
        self._plays_A = np.zeros(arms)
        self._rewards_A = np.zeros(arms)

    def pick(self) -> int:
        """The arm to play next; the same until something is noted."""
        unmet = np.flatnonzero(~self._met_A)
        if unmet.size:
            return int(unmet[-1])
        with np.errstate(divide="ignore"):  # one that has been forgotten altogether is played again
            bonus_A = self._explore * np.sqrt(np.log(self._samples + 1.0) / self._plays_A)
        index_A = self.means + bonus_A
        return len(index_A) - 1 - int(index_A[::-1].argmax())

    def note(self, rewards: Mapping[int, float]) -> None:
        """What one sample was worth under each arm for which that is known."""
        self._samples = self._keep * self._samples + 1.0
        self._plays_A *= self._keep
        self._rewards_A *= self._keep
        for arm, reward in rewards.items():
            self._met_A[arm] = True
            self._plays_A[arm] += 1.0
            self._rewards_A[arm] += reward

    @property
    def means(self) -> Floats:
        """[A] reward per sample; 0 where none is known."""
        means_A: Floats = self._rewards_A / np.maximum(self._plays_A, np.finfo(np.float64).tiny)
        return means_A

    @property
    def plays(self) -> Floats:
        """[A] samples, forgotten ones not counted."""
        return self._plays_A
