"""`npz:FILE`: arrays that somebody prepared.

x       [N, …]  samples: uint8 [N, H, W, C] (or [N, H, W]) pictures; int16 [N, L] audio at any rate;
                float32 [N, L] ECG windows; any other shape or dtype is an array that the network takes as it is
y       [N]     class indices
x_test, y_test  the same, kept for the test (optional)
group, group_test [N]  equal for samples that depend on each other (optional; any integers or strings)
labels  [K]     class names (optional)
"""

import zipfile

import numpy as np
from numpy.typing import NDArray

from offramp.data.dataset import DataSet, Part, content_digest
from offramp.data.request import Request
from offramp.errors import DataError
from offramp.records import Array, SampleSpec
from offramp.registry import unknown

_KEYS = ["x", "y", "x_test", "y_test", "group", "group_test", "labels"]


def load_npz(path: str, _request: Request, /) -> DataSet:
    """The arrays of a .npz file, which is never unpickled.

    Raises:
        DataError: No such file, no such keys, or arrays that do not fit each other.
    """
    arrays = _read(path)
    for key in arrays:
        if key not in _KEYS:
            raise DataError(f"{path}: {unknown('array', key, _KEYS)}")
    for key in ("x", "y", *(["y_test"] if "x_test" in arrays else [])):
        if key not in arrays:
            raise DataError(f"{path} has no array {key!r}; it needs x and y (and x_test with y_test)")
    has_test = "x_test" in arrays
    samples = np.concatenate([arrays["x"], arrays["x_test"]]) if has_test else arrays["x"]
    truth_N = _indices(np.concatenate([arrays["y"], arrays["y_test"]]) if has_test else arrays["y"], path)
    labels = tuple(map(str, arrays.get("labels", range(int(truth_N.max(initial=-1)) + 1))))
    samples, sample = _describe(samples)
    part_N = np.full(len(samples), Part.UNASSIGNED, np.int8)
    if has_test:
        part_N[len(arrays["x"]) :] = Part.TEST
    return DataSet(
        name=path,
        sample=sample,
        labels=labels,
        samples=samples,
        truth_N=truth_N,
        group_N=_groups(arrays, len(samples), path),
        part_N=part_N,
        digest=content_digest(samples, truth_N, labels),
    )


def _read(path: str) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DataError(f"{path} is a single array; save x and y together with numpy.savez")
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read as .npz: {error}") from error


def _indices(truth: Array, path: str) -> NDArray[np.int64]:
    if truth.ndim != 1 or not np.issubdtype(truth.dtype, np.integer):
        raise DataError(f"{path}: y is {truth.dtype} of shape {truth.shape}; give one class index per sample")
    return truth.astype(np.int64)


def _describe(samples: Array) -> tuple[Array, SampleSpec]:
    if samples.dtype == np.uint8 and samples.ndim == 3:
        samples = samples[..., None]
    shape, dtype = tuple(map(int, samples.shape[1:])), str(samples.dtype)
    kind = {("uint8", 3): "image", ("int16", 1): "audio", ("float32", 1): "ecg"}.get((dtype, len(shape)), "array")
    if kind == "image" and shape[2] not in (1, 3):
        kind = "array"
    return samples, SampleSpec(kind=kind, shape=shape, dtype=dtype)


def _groups(arrays: dict[str, Array], count: int, path: str) -> NDArray[np.int64]:
    names = [name for name in ("group", "group_test") if name in arrays]
    if not names:
        return np.arange(count)
    if ("group_test" in arrays) != ("x_test" in arrays) or "group" not in arrays:
        raise DataError(
            f"{path} has {' and '.join(names)}, but not a group for every sample; give group (and group_test)"
        )
    joined = np.concatenate([arrays[name] for name in names])
    if joined.shape != (count,):
        raise DataError(f"{path}: groups of shape {joined.shape} do not fit {count} samples; give one each")
    return np.asarray(np.unique(joined, return_inverse=True)[1], dtype=np.int64).reshape(-1)
