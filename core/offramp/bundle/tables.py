"""What codecs of a bundle know beyond each tensor's range: made from calibration samples, shipped in one file.

    graph/codecs.npz    ranges of channels, how often each level occurs, dictionaries

Both ends execute it, so it lies under graph/ and the model digest covers it. A bundle without it is complete: it
does not offer the codecs that need it.

# C channels, L levels (256)
"""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.errors import BundleError

TABLES = "graph/codecs.npz"
LEVELS = 256
TOTAL = 1 << 15
"""What the counts of a channel add up to: they fit into 16 bits, and a power of two divides without rounding."""
MAX_TABLES = 64 << 20  # 64 MiB unpacked: ten cuts of 1,024 channels take 10 MiB, and 16 KiB for each dictionary


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TensorTables:
    """Of one tensor at a cut."""

    axis: int
    """Which of its dimensions, without the batch, counts the channels."""
    low_C: NDArray[np.float32]
    high_C: NDArray[np.float32]
    """The range of each channel, as `TensorSpec` has that of the tensor."""
    counts_CL: NDArray[np.uint16]
    """How often a channel takes each of 256 levels of the tensor's range, of TOTAL; one row when channels share it."""
    own_counts_CL: NDArray[np.uint16]
    """The same for 256 levels of the channel's own range."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CutTables:
    """Of the tensors that cross one cut, or of a bottleneck's code."""

    tensors: tuple[TensorTables, ...] = ()
    """One for each tensor, or none at all."""
    dictionaries: Mapping[str, bytes] = field(default_factory=dict)
    """zstd dictionaries by the codec that they follow, such as `affine4c`; only where they save something."""


NO_TABLES = CutTables()

Shapes = Mapping[int | str, tuple[tuple[int, ...], ...]]
"""Of the tensors that cross, by cut and by name of a bottleneck."""


def write_tables(path: Path, tables: Mapping[int | str, CutTables]) -> None:
    """Tables by cut, and by name of a bottleneck."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for place, there in tables.items():
        for index, tensor in enumerate(there.tensors):
            arrays[f"{place}.{index}.axis"] = np.array(tensor.axis, np.uint8)
            arrays[f"{place}.{index}.low"] = tensor.low_C.astype("<f4")
            arrays[f"{place}.{index}.high"] = tensor.high_C.astype("<f4")
            arrays[f"{place}.{index}.counts"] = tensor.counts_CL.astype("<u2")
            arrays[f"{place}.{index}.own_counts"] = tensor.own_counts_CL.astype("<u2")
        for codec, dictionary in there.dictionaries.items():
            arrays[f"{place}.{codec}.dictionary"] = np.frombuffer(dictionary, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_tables(path: Path, shapes: Shapes) -> dict[int | str, CutTables]:
    """Tables by cut and by name of a bottleneck, checked against the shapes of the tensors there.

    Raises:
        BundleError: No such file, or it is malformed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MAX_TABLES:
            raise BundleError(f"{path} unpacks to {unpacked} bytes, more than {MAX_TABLES}; build the bundle again")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return _read({name: arrays[name] for name in arrays}, shapes)
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path} holds no tables for codecs ({error}); fetch or build the bundle again") from error


_PLACE = re.compile(r"(?P<place>\d{1,6}|[a-z][a-z0-9-]*)\.(?P<of>[a-z0-9:]+)\.(?P<what>[a-z_]+)")


def _read(arrays: Mapping[str, NDArray[np.generic]], shapes: Shapes) -> dict[int | str, CutTables]:
    places: dict[int | str, dict[str, NDArray[np.generic]]] = {}
    for name, array in arrays.items():
        match = _PLACE.fullmatch(name)
        if match is None:
            raise ValueError(f"an array is called {name[:80]!r}")
        place = int(match["place"]) if match["place"].isdecimal() else match["place"]
        places.setdefault(place, {})[f"{match['of']}.{match['what']}"] = array
    return {
        place: CutTables(
            tensors=tuple(_tensor(found, str(index), shape) for index, shape in enumerate(shapes[place]))
            if "0.axis" in found
            else (),
            dictionaries={
                name.removesuffix(".dictionary"): _typed(array, "<u1").tobytes()
                for name, array in found.items()
                if name.endswith(".dictionary")
            },
        )
        for place, found in places.items()
    }


def _tensor(found: Mapping[str, NDArray[np.generic]], index: str, shape: tuple[int, ...]) -> TensorTables:
    axis = int(_typed(found[f"{index}.axis"], "<u1"))
    channels = shape[axis]
    low_C, high_C = (_typed(found[f"{index}.{end}"], "<f4") for end in ("low", "high"))
    if low_C.shape != (channels,) or high_C.shape != (channels,):
        raise ValueError(f"ranges of shape {low_C.shape} and {high_C.shape} for {channels} channels")
    counts = []
    for which in ("counts", "own_counts"):
        counts_CL = _typed(found[f"{index}.{which}"], "<u2")
        if (
            counts_CL.shape not in ((channels, LEVELS), (1, LEVELS))
            or (counts_CL.sum(axis=1, dtype=int) != TOTAL).any()
        ):
            raise ValueError(f"{which} of shape {counts_CL.shape} that do not add up to {TOTAL} in each row")
        counts.append(counts_CL)
    return TensorTables(axis=axis, low_C=low_C, high_C=high_C, counts_CL=counts[0], own_counts_CL=counts[1])


def _typed(array: NDArray[np.generic], dtype: str) -> NDArray[Any]:
    if array.dtype != np.dtype(dtype):
        raise ValueError(f"an array of {array.dtype} where {np.dtype(dtype)} is expected")
    return array
