"""The tasks: what is measured, and how much of it may be lost.

# N samples, K classes
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.exits.tuning import Quality
from offramp.registry import Catalogue

Labels = NDArray[np.int64]

FEW = 30
"""Groups, at most, that are left out one by one; of more, one alone changes nothing."""


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
        found = {"accuracy": float(np.mean(label_N == truth_N))}
        if self.classes:
            found["macro_f1"] = macro_f1(label_N, truth_N, self.classes)
        return found

    def quality(self, whole_N: Labels, truth_N: Labels, group_N: Labels | None = None) -> Quality:
        """By how much answers are better than the whole network's, in the measure in which they are worst.

        Where groups are given and few, also whichever of them is left out: what holds thanks to one patient does not
        hold for others.
        """
        parts = [np.ones(len(truth_N), np.bool_)]
        if group_N is not None and len(groups := np.unique(group_N)) <= FEW:
            parts += [group_N != group for group in groups]
        wholes = [self.measures(whole_N[part_N], truth_N[part_N]) for part_N in parts]

        def judge(label_N: Labels, truth_N: Labels) -> float:
            founds = [self.measures(label_N[part_N], truth_N[part_N]) for part_N in parts]
            return min(found[name] - whole[name] for found, whole in zip(founds, wholes, strict=True) for name in whole)

        return judge


def macro_f1(label_N: Labels, truth_N: Labels, classes: int) -> float:
    """The mean of F1 over the first so many classes; answers and truths of others count as wrong where they meet these.

    A class that neither occurs nor is answered is left out.
    """
    scores = []
    for one in range(classes):
        said_N, true_N = label_N == one, truth_N == one
        if said_N.any() or true_N.any():
            scores.append(2 * float(np.sum(said_N & true_N)) / float(np.sum(said_N) + np.sum(true_N)))
    return float(np.mean(scores))


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
                "chosen by what is found on DS2, the test samples.",
            ),
        ),
    ],
)
