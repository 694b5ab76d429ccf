"""Heartbeats as samples: what an ECG's annotations call them, and what a network sees of each.

    360 Hz, mV ─ mean of every 3 ─► 120 Hz ─► │ 272 before the R peak │ R │ 47 after │ ─ level, scale ─► window [320]
                                                      2.27 s                 0.39 s                         │
    R peaks so far ─► how early this beat comes, of what this patient's did before ────────────────────► rhythm [4]
    windows so far ─► how unlike those of this patient it looks ───────────────────────────────────────► shape [3]
                                                                                                            │
                                                                                          sample float32 [327]

The window's future mostly ends before the next beat, so that an answer does not wait for it. Level and scale are the
window's own median and standard deviation, so a beat larger than those before it stays larger. A beat comes early, or
looks strange, only for a patient: `rhythm` and `shape` compare it with that patient's beats before it, and know nothing
of what comes after.

# N beats, L values of a recording, W values of a window, R of rhythm, S of shape
"""

import numpy as np
from numpy.typing import NDArray

from offramp.errors import DataError

RATE_HZ = 360
"""Of the recordings that windows are cut from."""
WINDOW = 320
"""Values of a window."""
PEAK = 272
"""Where in the window the R peak lies."""
RHYTHM = 4
"""Values that say how early a beat comes; they follow the window in a sample."""
SHAPE = 3
"""Values that say how strange a beat looks; they come last."""
PATIENT = RHYTHM + SHAPE
"""Values that compare a beat with those of the same patient before it."""

CLASSES = ("N", "S", "V", "F", "Q")
"""Classes of ANSI/AAMI EC57: normal, supraventricular, ventricular, fusion of both, unknown or paced."""
CLASS_OF = (
    dict.fromkeys("NLRej", "N") | dict.fromkeys("AaJS", "S") | dict.fromkeys("VE", "V") | {"F": "F"}
) | dict.fromkeys("/fQ", "Q")
"""By the symbols of the MIT format; every other symbol is no beat, but a rhythm, a wave or noise."""

_EVERY = 3  # 120 Hz holds what tells beats apart (a QRS complex lasts 80 ms and more) in a third of the values
_SMALLEST_MV = 0.05  # a lead that fell off is not blown up to the size of a beat
_RECENT = 32  # beats: half a minute of rest
_BEFORE, _AFTER = 30, 36  # of the R peak, 0.55 s in all: the QRS complex and most of the T wave
_SHORTEST, _LONGEST = 0.2, 3.0  # seconds: what lies beyond is a peak too many or a pause, and would upset every mean
_FIFTH = 0.2  # a beat that comes a fifth early is one; rhythm is of the order of 1 then
_MOST = 4.0
_FLAT = 1e-6  # keeps a lead that fell off from being divided by nothing


def beat_windows(signal_L: NDArray[np.float32], peaks_N: NDArray[np.int64]) -> NDArray[np.float32]:
    """[N, WINDOW] the window of each beat, from a recording in millivolts at RATE_HZ and the places of its R peaks.

    Where the recording has not begun yet, or has ended, its first or last value is held.

    Raises:
        DataError: A peak lies outside of the recording.
    """
    if len(peaks_N) and not 0 <= peaks_N.min() <= peaks_N.max() < len(signal_L):
        raise DataError(
            f"R peaks lie at {peaks_N.min()} to {peaks_N.max()}, the recording holds {len(signal_L)} values; "
            f"give the annotations that belong to it"
        )
    padded = np.pad(signal_L, (_EVERY * PEAK + 1, _EVERY * (WINDOW - PEAK)), mode="edge")
    means_L = (padded[:-2] + padded[1:-1] + padded[2:]) / np.float32(_EVERY)
    # Every third mean, counted from the one whose middle is the peak.
    spans = np.lib.stride_tricks.sliding_window_view(means_L, _EVERY * (WINDOW - 1) + 1)[:, ::_EVERY]
    windows_NW = spans[peaks_N]
    windows_NW -= np.median(windows_NW, axis=1, keepdims=True)
    windows_NW /= np.maximum(windows_NW.std(axis=1, keepdims=True), np.float32(_SMALLEST_MV))
    return windows_NW


def rhythm(peaks_N: NDArray[np.int64]) -> NDArray[np.float32]:
    """[N, RHYTHM] how the interval before each beat compares with those before it, from the places of all R peaks.

    Logarithms, in fifths, of: the interval over the mean of all before it, over the mean of the last 32 before it, over
    the one before it; and the one before it over the mean of the last 32. 0 where nothing is known yet.
    """
    ratios_NR = np.zeros((len(peaks_N), RHYTHM))
    interval_I = np.clip(np.diff(peaks_N) / RATE_HZ, _SHORTEST, _LONGEST)
    if len(interval_I) > 1:
        now_I, last_I = interval_I[1:], interval_I[:-1]
        sum_I = np.concatenate([[0.0], np.cumsum(interval_I)])
        count_I = np.arange(1, len(interval_I))
        recent_I = np.minimum(count_I, _RECENT)
        all_I, mean_I = sum_I[count_I] / count_I, (sum_I[count_I] - sum_I[count_I - recent_I]) / recent_I
        ratios_NR[2:] = np.log(np.stack([now_I / all_I, now_I / mean_I, now_I / last_I, last_I / mean_I], axis=1))
    return np.clip(ratios_NR / _FIFTH, -_MOST, _MOST).astype(np.float32)


def shape(windows_NW: NDArray[np.float32]) -> NDArray[np.float32]:
    """[N, SHAPE] how each beat looks beside those before it, from the windows of all beats of a patient.

    Of the part around the R peak, in fifths: one minus its correlation with the mean of the last 32 beats, and with the
    beat before; the logarithm of its size over that of this mean. 0 for the first beat.
    """
    found_NS = np.zeros((len(windows_NW), SHAPE))
    if len(windows_NW) > 1:
        beat_NW = windows_NW[:, PEAK - _BEFORE : PEAK + _AFTER + 1].astype(np.float64)
        beat_NW -= beat_NW.mean(axis=1, keepdims=True)
        sum_NW = np.cumsum(np.concatenate([np.zeros_like(beat_NW[:1]), beat_NW]), axis=0)
        count_N = np.arange(1, len(beat_NW))
        usual_NW = sum_NW[count_N] - sum_NW[count_N - np.minimum(count_N, _RECENT)]
        usual_NW /= np.minimum(count_N, _RECENT)[:, None]
        now_NW, last_NW = beat_NW[1:], beat_NW[:-1]
        sizes = _size(now_NW) / _size(usual_NW)
        unlike = [1 - _correlation(now_NW, usual_NW), 1 - _correlation(now_NW, last_NW), np.log(sizes)]
        found_NS[1:] = np.stack(unlike, axis=1)
    return np.clip(found_NS / _FIFTH, -_MOST, _MOST).astype(np.float32)


def _correlation(one_NW: NDArray[np.float64], other_NW: NDArray[np.float64]) -> NDArray[np.float64]:
    found_N: NDArray[np.float64] = (one_NW * other_NW).sum(axis=1) / (_size(one_NW) * _size(other_NW))
    return found_N


def _size(beat_NW: NDArray[np.float64]) -> NDArray[np.float64]:
    found_N: NDArray[np.float64] = np.linalg.norm(beat_NW, axis=1) + _FLAT
    return found_N


def beats_among(symbols: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of these annotations are beats, and the class of each as an index into CLASSES."""
    class_A = np.array([CLASSES.index(CLASS_OF[symbol]) if symbol in CLASS_OF else -1 for symbol in symbols], np.int64)
    places = np.flatnonzero(class_A >= 0)
    return places, class_A[places]
