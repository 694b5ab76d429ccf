"""The real pictures that camera-digits is made of, read from scikit-learn's data files by path.

scikit-learn ships 1,797 handwritten digits of 8x8 pixels (E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten
Digits", UCI, CC BY 4.0) and two photographs (china.jpg, flower.jpg, CC BY 2.0). It is never imported: that would cost a
process 85 MB and a second.

# D digits
"""

import gzip
import importlib.util
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from offramp.data.dataset import Part
from offramp.errors import DataError, MissingExtraError

MASK = 48
"""Side of an enlarged digit, in pixels."""
KEPT = 64
"""Enlarged digits that are kept: a run shows one for 8 to 24 frames, and all of them would cost a board 4 MB."""

# Contiguous ranges, since neighbours in the set come from one writer: no writer's hand is in two parts (but for the
# one at each border). At least 350 to calibrate on: risk control needs them.
RANGES = {Part.TRAIN: range(1080), Part.CALIBRATION: range(1080, 1440), Part.TEST: range(1440, 1797)}

# Horizontal bands of both photographs, as shares of their height: no part sees another's background, and yet each has
# some of the pagoda, the trees, the flower and the dark leaves, so that what is calibrated holds in the test.
_BANDS = {Part.TRAIN: (0.0, 0.5), Part.CALIBRATION: (0.5, 0.75), Part.TEST: (0.75, 1.0)}
_PHOTOGRAPHS = ("china.jpg", "flower.jpg")


@dataclass(frozen=True, slots=True)
class Digits:
    """The handwritten digits as they are published, and what they mean."""

    small_DHW: NDArray[np.uint8]
    truth_D: NDArray[np.int64]


@cache
def digits() -> Digits:
    """All 1,797 digits, 8x8 grey levels from 0 to 255.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        DataError: Its data file is not what it was.
    """
    path = _datasets() / "data" / "digits.csv.gz"
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read ({error}); install scikit-learn again") from error
    if table.shape != (1797, 65):
        raise DataError(
            f"{path} holds a table of shape {table.shape}, not (1797, 65); install scikit-learn 1.5 or later"
        )
    small_DHW = (table[:, :64].reshape(-1, 8, 8) * np.float32(255 / 16)).astype(np.uint8)
    return Digits(small_DHW, table[:, 64].astype(np.int64))


@lru_cache(maxsize=KEPT)
def stroke_of(digit: int) -> NDArray[np.uint8]:
    """[MASK, MASK] how much ink of the digit in this row lies where, enlarged and smoothed."""
    stroke_HW = _enlarge(digits().small_DHW[digit])
    stroke_HW.flags.writeable = False  # it is shared
    return stroke_HW


@cache
def photographs(part: Part) -> tuple[Image.Image, ...]:
    """The band of each photograph that this part may see, in RGB.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        DataError: A photograph cannot be read.
    """
    bands = []
    for name in _PHOTOGRAPHS:
        path = _datasets() / "images" / name
        try:
            with Image.open(path) as image:
                top, bottom = (round(share * image.height) for share in _BANDS[part])
                bands.append(image.convert("RGB").crop((0, top, image.width, bottom)))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read ({error}); install scikit-learn again") from error
    return tuple(bands)


def _datasets() -> Path:
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("scikit-learn", "demo", "the data set camera-digits")
    return Path(spec.submodule_search_locations[0]) / "datasets"


def _enlarge(small_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """From 8x8 grey levels to a pen stroke: smooth along the line, steep across it."""
    padded = np.pad(small_HW, 1)
    smooth = np.asarray(Image.fromarray(padded).resize((MASK, MASK), Image.Resampling.BICUBIC), dtype=np.float32)
    return np.asarray(np.clip((smooth - 70) * 2.2, 0, 255), dtype=np.uint8)
