"""How right the answers are: accuracy, per class, macro F1, calibration error.

A sample without an answer has label -1: it was due, so it counts as wrong. A sample whose truth is not known has truth
-1 and counts in none of these.

# N samples, K classes, B bins of confidence
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
NOBODY = -1
"""The label of a rejected sample; the truth of an unlabelled one."""


def correct(label: ArrayLike, truth: ArrayLike) -> Floats:
    """[N] 1 where the answer is right, 0 where it is wrong or missing, NaN where nobody knows."""
    label_N, truth_N = np.asarray(label), np.asarray(truth)
    return np.where(truth_N == NOBODY, np.nan, (label_N == truth_N).astype(np.float64))


def accuracy(label: ArrayLike, truth: ArrayLike) -> float:
    """Share of right answers among the samples whose truth is known; NaN when there is none."""
    right_N = correct(label, truth)
    known_N = right_N[~np.isnan(right_N)]
    return float(known_N.mean()) if len(known_N) else float("nan")


def per_class_accuracy(label: ArrayLike, truth: ArrayLike, classes: int) -> tuple[Floats, NDArray[np.int64]]:
    """[K] share of right answers per class (its recall; NaN where it has no sample), and [K] samples per class."""
    label_N, truth_N = _known(label, truth)
    count_K = np.bincount(truth_N, minlength=classes)
    right_K = np.bincount(truth_N[label_N == truth_N], minlength=classes)
    with np.errstate(invalid="ignore"):
        return right_K / count_K, count_K.astype(np.int64)


def macro_f1(label: ArrayLike, truth: ArrayLike) -> float:
    """The mean of F1 over the classes that occur, as a truth or as an answer; NaN when no truth is known.

    F1 = 2 true positives / (2 true positives + false positives + false negatives); a missing answer is a false negative
    of its class and no class of its own.
    """
    label_N, truth_N = _known(label, truth)
    if len(truth_N) == 0:
        return float("nan")
    size = int(max(truth_N.max(), label_N.max())) + 1
    true_K = np.bincount(truth_N, minlength=size)
    said_K = np.bincount(label_N[label_N != NOBODY], minlength=size)
    right_K = np.bincount(truth_N[label_N == truth_N], minlength=size)
    occurs_K = true_K + said_K > 0
    return float(np.mean(2 * right_K[occurs_K] / (true_K + said_K)[occurs_K]))


def calibration_error(confidence: ArrayLike, right: ArrayLike, *, bins: int = 15) -> float:
    """Expected calibration error: how far confidence and accuracy lie apart, bin by bin, weighted by samples.

    Equal bins over [0, 1], closed above (Guo et al., ICML 2017). In [0, 1]; 0 for perfect calibration. Samples that are
    NaN in either array do not count; NaN when none is left.

    Raises:
        ValueError: A confidence outside [0, 1], or no bin.
    """
    confidence_N, right_N = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    kept_N = ~(np.isnan(confidence_N) | np.isnan(right_N))
    confidence_N, right_N = confidence_N[kept_N], right_N[kept_N]
    if len(confidence_N) == 0:
        return float("nan")
    if bins < 1 or confidence_N.min() < 0 or confidence_N.max() > 1:
        raise ValueError(f"confidences lie in [0, 1], in at least one bin; got up to {confidence_N.max()}, {bins} bins")
    # The same edges for every user of this number: comparing with k / bins, not multiplying, decides a tie.
    index_N = np.maximum(np.searchsorted(np.arange(bins + 1) / bins, confidence_N, side="left") - 1, 0)
    gap_B = np.bincount(index_N, weights=right_N - confidence_N, minlength=bins)
    return float(np.abs(gap_B).sum() / len(confidence_N))


def _known(label: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    label_N, truth_N = np.asarray(label, np.int64), np.asarray(truth, np.int64)
    known_N = truth_N != NOBODY
    return label_N[known_N], truth_N[known_N]
