"""`mitbih:FOLDER`: the MIT-BIH Arrhythmia Database, one sample per heartbeat, one stream per recording.

100.hea 100.dat 100.atr … 234.atr                            WFDB records, as published (needs the package wfdb)
mitbih_1lead_delta.npy.xz with mitbih_annotations.npz        a lossless re-encoding of one lead of each

De Chazal, O'Dwyer and Reilly (IEEE TBME 51(7), 2004) divided the 44 recordings without a pacemaker by patient: DS1 to
train on, DS2 to test. Here DS2 stays whole. Eight patients of DS1 are kept to calibrate on, and recording 201 is left
out: it is of the same person as 202, which is in DS2.
"""

import lzma
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.data.beats import CLASSES, PATIENT, RATE_HZ, WINDOW, beat_windows, beats_among, rhythm, shape
from offramp.data.dataset import DataSet, Part, content_digest
from offramp.data.request import Request
from offramp.errors import DataError, MissingExtraError
from offramp.records import SampleSpec

# fmt: off
RECORDINGS = {
    Part.TRAIN: (101, 106, 108, 109, 112, 115, 122, 203, 207, 208, 209, 220, 230),
    # Chosen once: eight of DS1, with beats of every class but Q, which leave hundreds of each to train on.
    Part.CALIBRATION: (114, 116, 118, 119, 124, 205, 215, 223),
    Part.TEST: (
        100, 103, 105, 111, 113, 117, 121, 123, 200, 202, 210,
        212, 213, 214, 219, 221, 222, 228, 231, 232, 233, 234,
    ),
}
# fmt: on
"""By part, the numbers of the recordings; each is of another patient."""

_LEAD = "MLII"
_SIGNALS, _ANNOTATIONS = "mitbih_1lead_delta.npy.xz", "mitbih_annotations.npz"
_UNITS_PER_MV, _BASELINE = 200, 1024  # of the re-encoding, which keeps the published integers
_MAX_BYTES = 1 << 28  # 256 MiB: the re-encoding unpacks to 62 MB


@dataclass(frozen=True, slots=True)
class _Recording:
    number: int
    signal_L: NDArray[np.float32]
    """Millivolts."""
    place_A: NDArray[np.int64]
    """Of each annotation in the signal."""
    symbols: list[str]


def load_mitbih(path: str, _request: Request, /) -> DataSet:
    """98,770 beats of shape (327,), in the classes of AAMI; a group is a patient, a stream a recording.

    Recordings that are not there are left out and reported.

    Raises:
        DataError: No recording is there, or one is damaged.
        MissingExtraError: The folder holds WFDB records, and wfdb is not installed.
    """
    folder = Path(path)
    encoded = (folder / _SIGNALS).is_file()
    samples: list[NDArray[np.float32]] = []
    truth: list[NDArray[np.int64]] = []
    numbers: list[int] = []
    for recording in _read_encoded(folder) if encoded else _read_published(folder):
        beats, truth_N = beats_among(recording.symbols)
        peaks_N = recording.place_A[beats]
        windows_NW = beat_windows(recording.signal_L, peaks_N)
        samples.append(np.concatenate([windows_NW, rhythm(peaks_N), shape(windows_NW)], axis=1))
        truth.append(truth_N)
        numbers.append(recording.number)
    sizes = [len(truth_N) for truth_N in truth]
    part_of = {number: part for part, members in RECORDINGS.items() for number in members}
    stacked, truth_N = np.concatenate(samples), np.concatenate(truth)
    return DataSet(
        name="mitbih",
        sample=SampleSpec(kind="ecg", shape=(WINDOW + PATIENT,), dtype="float32"),
        labels=CLASSES,
        samples=stacked,
        truth_N=truth_N,
        group_N=np.repeat(np.array(numbers, np.int64), sizes),
        part_N=np.repeat(np.array([part_of[number] for number in numbers], np.int8), sizes),
        stream_N=np.repeat(np.array(numbers).astype(np.str_), sizes),
        digest=content_digest(stacked, truth_N, CLASSES),
        moves=False,
        skipped=tuple(
            (str(folder), f"recording {number} is not there") for number in _wanted() if number not in numbers
        ),
    )


def _read_encoded(folder: Path) -> Iterator[_Recording]:
    try:
        with lzma.open(folder / _SIGNALS) as file:
            steps = np.load(BytesIO(file.read(_MAX_BYTES)), allow_pickle=False)
        with np.load(folder / _ANNOTATIONS, allow_pickle=False) as arrays:
            names, row_A, place_A, symbol_A = (
                arrays[key] for key in ("record", "ann_record_index", "ann_sample", "ann_symbol")
            )
        if steps.shape[:-1] != names.shape:
            raise ValueError(f"signals of shape {steps.shape} for {names.size} recordings")
    except (OSError, ValueError, EOFError, KeyError, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise DataError(f"{folder / _SIGNALS} or {_ANNOTATIONS} cannot be read: {error}; fetch both again") from error
    rows = {int(name): row for row, name in enumerate(names)}
    for number in _wanted():
        if number in rows:
            counts_L = np.cumsum(steps[rows[number]], dtype=np.int16)
            signal_L = (counts_L - np.float32(_BASELINE)) / np.float32(_UNITS_PER_MV)
            mine = row_A == rows[number]
            yield _Recording(number, signal_L, place_A[mine].astype(np.int64), symbol_A[mine].tolist())


def _read_published(folder: Path) -> Iterator[_Recording]:
    numbers = [number for number in _wanted() if (folder / f"{number}.hea").is_file()]
    if not numbers:
        raise DataError(
            f"{folder} holds no recording of MIT-BIH; give a folder with 100.hea, 100.dat, 100.atr and so on, as "
            f"PhysioNet's page of the MIT-BIH Arrhythmia Database offers them, or with {_SIGNALS} and {_ANNOTATIONS}"
        )
    for number in numbers:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # wfdb 4.3 does what pandas 3.1 calls deprecated: theirs to settle
                recording = _read_record(_wfdb(), folder, number)
        # What wfdb raises for a damaged file is whatever its parsing led to.
        except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
            raise DataError(f"recording {number} in {folder} cannot be read: {error}; fetch it again") from error
        yield recording


def _read_record(wfdb: Any, folder: Path, number: int) -> _Recording:
    path = str(folder / str(number))
    header = wfdb.rdheader(path)
    if _LEAD not in header.sig_name or header.fs != RATE_HZ:
        raise ValueError(f"it has {', '.join(header.sig_name)} at {header.fs} Hz, not {_LEAD} at {RATE_HZ} Hz")
    # By name: in recording 114 it is the second.
    lead = header.sig_name.index(_LEAD)
    counts_L = wfdb.rdrecord(path, physical=False, channels=[lead]).d_signal[:, 0]
    if (int(counts_L.sum()) - header.checksum[lead]) % (1 << 16):
        raise ValueError(f"the values of {_LEAD} do not add up to the checksum in its header")
    annotations = wfdb.rdann(path, "atr")
    signal_L = (counts_L - header.baseline[lead]).astype(np.float32) / np.float32(header.adc_gain[lead])
    return _Recording(number, signal_L, annotations.sample.astype(np.int64), list(annotations.symbol))


def _wfdb() -> Any:
    try:
        import wfdb
    except ImportError as error:
        raise MissingExtraError("wfdb", "ecg", "a folder of WFDB records") from error
    return wfdb


def _wanted() -> list[int]:
    return sorted(number for members in RECORDINGS.values() for number in members)
