"""The data sets that can be named: `kind:PATH`, or `kind` alone where nothing has to be read.

To add one: a file with a `Loader`, and a line here. The page docs/data.md says what each expects.
"""

from dataclasses import dataclass

from offramp.data.arrays import load_npz
from offramp.data.camera_digits import load_camera_digits
from offramp.data.cifar10 import load_cifar10
from offramp.data.cifar100 import load_cifar100
from offramp.data.dataset import DataSet
from offramp.data.folder import load_folder
from offramp.data.mitbih import load_mitbih
from offramp.data.mnist import load_mnist
from offramp.data.request import Loader, Request
from offramp.data.scenes import as_scenes, scenes_of
from offramp.errors import DataError
from offramp.registry import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of data set."""

    loader: Loader
    summary: str
    needs_path: bool = True


def _load_scenes(path: str, request: Request, /) -> DataSet:
    mean_frames, source = scenes_of(path)
    if source.partition(":")[0] not in LOADERS:
        raise DataError(f"scenes:{path} names no data set to show; write scenes:cifar10:PATH, or any other pictures")
    return as_scenes(load(source, request), request, mean_frames)


LOADERS: Catalogue[Kind] = Catalogue(
    "kind of data set",
    [
        ("camera-digits", Kind(loader=load_camera_digits, summary="digits held before a camera", needs_path=False)),
        ("cifar10", Kind(loader=load_cifar10, summary="a folder of CIFAR-10, as published or as WebP")),
        ("cifar100", Kind(loader=load_cifar100, summary="a folder of CIFAR-100, as published")),
        ("folder", Kind(loader=load_folder, summary="class folders of pictures")),
        ("mitbih", Kind(loader=load_mitbih, summary="a folder of MIT-BIH's WFDB records")),
        ("mnist", Kind(loader=load_mnist, summary="a folder of MNIST's idx files")),
        ("npz", Kind(loader=load_npz, summary="a .npz file with x and y")),
        ("scenes", Kind(loader=_load_scenes, summary="a data set of pictures, each held for some frames")),
    ],
)


def load(spec: str, request: Request | None = None) -> DataSet:
    """The data set that `spec` names, such as `folder:pictures` or `camera-digits`.

    Raises:
        DataError: It cannot be read, holds no sample, or the spec has a path too many or too few.
        UnknownNameError: There is no such kind.
        MissingExtraError: It is made of files that an optional dependency ships.
    """
    request = request or Request()
    name, _, path = spec.partition(":")
    kind = LOADERS[name]
    if kind.needs_path and not path:
        raise DataError(f"{spec!r} names no place; write {name}:PATH ({kind.summary})")
    if path and not kind.needs_path:
        raise DataError(f"{spec!r} has a path, but {name} needs none; write {name}")
    data = kind.loader(path, request)
    if not len(data):
        skipped = f" ({len(data.skipped)} could not be read: {data.skipped[0][1]})" if data.skipped else ""
        raise DataError(f"{spec} holds no sample{skipped}; give a data set with at least one per class")
    if request.shape is not None and request.shape != data.sample.shape:
        raise DataError(
            f"{spec} has samples of shape {data.sample.shape}, not {request.shape}, and cannot be resized; "
            f"leave the size out, or prepare the data at that size"
        )
    return data.limited(request.limit, seed=request.seed)
