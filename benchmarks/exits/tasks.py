"""The tasks: what is measured, and how much of it may be lost.

# N samples, K classes
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.exits.tuning import Quality
from offramp.registry import Catalogue

Labels = NDArray[np.int64]

FEW = 30
"""Groups, at most, that are left out one by one; of more, one alone changes nothing."""
BLOCKS = 100
"""Into so many parts more groups are put, to see how much chance there is in a measure."""
SURE = 1.645
"""Standard errors that are taken off then: what is left is kept with 95 % confidence, by a normal distribution's end.
Of one rule: for the choice among many nothing is taken off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    name: str
    title: str
    """For people."""
    recipe: str
    """That `offramp build` follows where a bundle is missing."""
    drop: float
    """How much of every measure may be lost against the whole network."""
    classes: int = 0
    """Of how many, counted from the first, macro-F1 is taken; 0: it is no measure of this task."""
    streams: bool = False
    """Whether neighbouring samples resemble each other, so that temporal policies have something to look at."""
    chosen: str = ""
    """How what the recipe says was chosen, where the test samples' resemblance to others is in doubt."""

    def measures(self, label_N: Labels, truth_N: Labels) -> dict[str, float]:
        """By name, each in [0, 1]: the higher, the better."""
        (counts_KK,) = _counted(label_N, truth_N, np.zeros_like(truth_N))
        return self._measures_of(counts_KK)

    def _measures_of(self, counts_KK: Labels) -> dict[str, float]:
        found = {"accuracy": float(np.trace(counts_KK) / counts_KK.sum())}
        if self.classes:
            found["macro_f1"] = _macro_f1(counts_KK, self.classes)
        return found

    def quality(self, whole_N: Labels, truth_N: Labels, group_N: Labels | None = None) -> Quality:
        """By how much answers are better than the whole network's, in the measure in which they are worst.

        With groups, it is cautious. Of few, whichever is left out: what holds thanks to one patient does not hold for
        others. Of many, `SURE` standard errors are taken off, by the jackknife over `BLOCKS` blocks of whole groups.
        """
        few, number_N = False, np.zeros_like(truth_N)
        if group_N is not None:
            groups, number_N = np.unique(group_N, return_inverse=True)
            few, number_N = len(groups) <= FEW, number_N % BLOCKS

        def parts(label_N: Labels, truth_N: Labels) -> list[dict[str, float]]:
            """Measures of all, then without each group or block."""
            counts_GKK = _counted(label_N, truth_N, number_N)
            whole_KK = counts_GKK.sum(axis=0)
            rest = [whole_KK - counts_KK for counts_KK in counts_GKK] if len(counts_GKK) > 1 else []
            return [self._measures_of(counts_KK) for counts_KK in (whole_KK, *rest)]

        wholes = parts(whole_N, truth_N)

        def judge(label_N: Labels, truth_N: Labels) -> float:
            pairs = list(zip(parts(label_N, truth_N), wholes, strict=True))
            gained = [[found[name] - whole[name] for found, whole in pairs] for name in pairs[0][1]]
            if few or len(pairs) == 1:
                return min(min(some) for some in gained)
            return min(all_of_it - SURE * _jackknifed(rest) for all_of_it, *rest in gained)

        return judge


def _jackknifed(without_B: Sequence[float]) -> float:
    """Standard error of a measure that was taken without each of B blocks (Tukey's jackknife)."""
    return float(np.std(without_B) * np.sqrt(len(without_B) - 1))


def macro_f1(label_N: Labels, truth_N: Labels, classes: int) -> float:
    """The mean of F1 over the first so many classes; answers and truths of others count as wrong where they meet these.

    A class that neither occurs nor is answered is left out.
    """
    (counts_KK,) = _counted(label_N, truth_N, np.zeros_like(truth_N))
    return _macro_f1(counts_KK, classes)


def _macro_f1(counts_KK: Labels, classes: int) -> float:
    right_K, said_K, true_K = np.diag(counts_KK), counts_KK.sum(axis=0), counts_KK.sum(axis=1)
    both_K = (said_K + true_K)[:classes]
    return float(np.mean(2 * right_K[:classes][both_K > 0] / both_K[both_K > 0]))


def _counted(label_N: Labels, truth_N: Labels, group_N: Labels) -> Labels:
    """[G, K, K] how often the samples of each class, by group, were given each answer; groups are counted from 0."""
    classes, groups = 1 + int(max(label_N.max(), truth_N.max())), 1 + int(group_N.max())
    cell_N = (group_N * classes + truth_N) * classes + label_N
    counts_GKK: Labels = np.bincount(cell_N, minlength=groups * classes**2).reshape(groups, classes, classes)
    return counts_GKK


TASKS: Catalogue[Task] = Catalogue(
    "task",
    [
        ("demo", Task(name="demo", title="the demo's digits", recipe="demo", drop=0.01, streams=True)),
        ("cifar10", Task(name="cifar10", title="CIFAR-10, ResNet-20", recipe="cifar10-resnet20", drop=0.005)),
        (
            "mitbih",
            Task(
                name="mitbih",
                title="MIT-BIH, a 1-D CNN",
                recipe="mitbih",
                drop=0.01,
                classes=3,
                streams=True,
                chosen="What a sample holds, the network and its training were chosen by leaving patients of DS1 out, "
                "by fifths; thresholds hold on the eight who calibrate, and whichever of them is left out. Nothing was "
                "chosen by what is found on DS2, the test samples, with one caution: of several forms of `recall`, the "
                "one was taken that does best where calibrating patients are left out by turns, and by then all had "
                "been seen on DS2.",
            ),
        ),
    ],
)
