"""Heartbeats as samples: what an ECG's annotations call them, and the window that a network sees of each.

    360 Hz, mV ─ mean of every 3 ─► 120 Hz ─► │ 272 before the R peak │ R │ 47 after │ ─ level, scale ─► float32 [320]
                                                      2.27 s                 0.39 s

The past shows earlier beats, so that a beat that comes early is seen to be early; the future mostly ends before the
next beat, so that an answer does not wait for it. Level and scale are the window's own median and standard deviation: a
device needs nothing of the patient that it has not just seen, and a beat larger than those before it stays larger.

# N beats, L values of a recording, W values of a window
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

CLASSES = ("N", "S", "V", "F", "Q")
"""Classes of ANSI/AAMI EC57: normal, supraventricular, ventricular, fusion of both, unknown or paced."""
CLASS_OF = (
    dict.fromkeys("NLRej", "N") | dict.fromkeys("AaJS", "S") | dict.fromkeys("VE", "V") | {"F": "F"}
) | dict.fromkeys("/fQ", "Q")
"""By the symbols of the MIT format; every other symbol is no beat, but a rhythm, a wave or noise."""

_EVERY = 3  # 120 Hz holds what tells beats apart (a QRS complex lasts 80 ms and more) in a third of the values
_SMALLEST_MV = 0.05  # a lead that fell off is not blown up to the size of a beat


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


def beats_among(symbols: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of these annotations are beats, and the class of each as an index into CLASSES."""
    class_A = np.array([CLASSES.index(CLASS_OF[symbol]) if symbol in CLASS_OF else -1 for symbol in symbols], np.int64)
    places = np.flatnonzero(class_A >= 0)
    return places, class_A[places]
