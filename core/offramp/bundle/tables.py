"""What codecs of a bundle know beyond each tensor's range: made from calibration samples, shipped in one file.

    graph/codecs.npz    ranges of channels, how often each level occurs, dictionaries, probes of codes

Both ends execute it, so it lies under graph/ and the model digest covers it. A bundle without it is complete: it
does not offer the codecs that need it.

# C channels, L levels (256), R numbers of channels, V values of a code, K classes
"""

import math
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
class ProbeTables:
    """A linear probe of a bottleneck's code: what its first channels say of the answer, for several numbers of them.

    logits of the first c channels = scale_R[r] · (flat code · weight_VK, over those channels) + bias_RK[r]
    """

    channels_R: NDArray[np.uint16]
    """Numbers of channels, rising; the last is all that are ever sent."""
    weight_VK: NDArray[np.float32]
    """Of the values of `channels_R[-1]` channels, one channel after the other."""
    scale_R: NDArray[np.float32]
    bias_RK: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CutTables:
    """Of the tensors that cross one cut, or of a bottleneck's code."""

    tensors: tuple[TensorTables, ...] = ()
    """One for each tensor, or none at all."""
    dictionaries: Mapping[str, bytes] = field(default_factory=dict)
    """zstd dictionaries by the codec that they follow, such as `affine4c`; only where they save something."""
    probe: ProbeTables | None = None
    """Of a code that has several rates."""


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
        if there.probe is not None:
            arrays[f"{place}.probe.channels"] = there.probe.channels_R.astype("<u2")
            arrays[f"{place}.probe.weight"] = there.probe.weight_VK.astype("<f4")
            arrays[f"{place}.probe.scale"] = there.probe.scale_R.astype("<f4")
            arrays[f"{place}.probe.bias"] = there.probe.bias_RK.astype("<f4")
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
            probe=_probe(found, shapes[place]) if "probe.channels" in found else None,
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


def _probe(found: Mapping[str, NDArray[np.generic]], shapes: tuple[tuple[int, ...], ...]) -> ProbeTables:
    channels_R = _typed(found["probe.channels"], "<u2")
    weight_VK, scale_R, bias_RK = (_typed(found[f"probe.{what}"], "<f4") for what in ("weight", "scale", "bias"))
    ((channels, *places),) = shapes
    rising = channels_R.ndim == 1 and (np.diff(channels_R.astype(int), prepend=0) > 0).all()
    if not rising or not 1 < len(channels_R) < 256 or channels_R[-1] > channels:
        raise ValueError(f"a probe of {channels_R.tolist()[:8]} channels where a code has {channels}")
    rates, values = len(channels_R), int(channels_R[-1]) * math.prod(places)
    shaped = (
        weight_VK.ndim == 2
        and len(weight_VK) == values
        and scale_R.shape == (rates,)
        and bias_RK.shape == (rates, weight_VK.shape[1])
    )
    if not shaped or not all(np.isfinite(array).all() for array in (weight_VK, scale_R, bias_RK)):
        raise ValueError(
            f"a probe of shapes {weight_VK.shape}, {scale_R.shape}, {bias_RK.shape}, or not finite, for {rates} "
            f"numbers of channels and {values} values"
        )
    return ProbeTables(channels_R=channels_R, weight_VK=weight_VK, scale_R=scale_R, bias_RK=bias_RK)


def _typed(array: NDArray[np.generic], dtype: str) -> NDArray[Any]:
    if array.dtype != np.dtype(dtype):
        raise ValueError(f"an array of {array.dtype} where {np.dtype(dtype)} is expected")
    return array
