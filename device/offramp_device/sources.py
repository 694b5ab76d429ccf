"""Where samples come from, decoded and fitted to the shape and dtype that cut 0 of the bundle declares.

pictures/            every picture below a folder, in order of its path; class folders tell the truth
frames.npy  x.npz    arrays [N, …]; .npz with x (and y), or x_test (and y_test), and maybe when they arrive: arrival
-                    paths on standard input, one a line
camera-digits[:N]    digits held before a camera, frame after frame (N: another seed)
camera:0             a V4L2 camera, through OpenCV
cifar10:PATH …       any data set that `offramp build` reads: its test part, or all of it
listen:ADDRESS       samples that local programs submit (ADDRESS is local: 127.0.0.1:PORT or unix:PATH)
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from offramp.bundle.manifest import Manifest
from offramp.data.images import SUFFIXES, fit_image, read_image
from offramp.errors import DataError, InputError, MissingExtraError, OfframpError
from offramp.records import Array, SampleSpec
from offramp.registry import Catalogue, unknown
from offramp.units import Seconds


@dataclass(frozen=True, slots=True)
class Drawn:
    """One input, or why it could not be read."""

    data: Array | None
    error: str = ""
    truth: int | None = None
    name: str = ""
    at: Seconds | None = None
    """Since the start, when it arrives; None where the source does not say."""


@dataclass(frozen=True, slots=True)
class Source:
    """Draws inputs one after the other; `draw` may be called once."""

    name: str
    draw: Callable[[], Iterator[Drawn]]
    live: bool = False
    """The world does not wait: what comes while the device is busy is queued, and rejected when the queue is full."""


Opener = Callable[[str, Manifest], Source]


def open_source(text: str, manifest: Manifest) -> Source:
    """The source that `text` names; nothing is read from it yet.

    Raises:
        DataError: There is no such file, folder or camera, or it does not fit the bundle's samples.
        UnknownNameError: Neither a path nor a kind of source.
        MissingExtraError: An optional dependency is not installed.
    """
    kind, colon, rest = text.partition(":")
    if text == "-":
        return SOURCES["-"]("", manifest)
    if kind in SOURCES and (colon or kind == "camera-digits"):
        return SOURCES[kind](rest, manifest)
    path = Path(text)
    if path.suffix in (".npy", ".npz"):
        return SOURCES[path.suffix[1:]](text, manifest)
    if path.exists():
        return SOURCES["folder"](text, manifest)
    raise DataError(unknown("path or kind of source", text, list(SOURCES)))


def fit_sample(data: Array, spec: SampleSpec, name: str = "the sample") -> Array:
    """An array as the bundle declares its samples; a picture of another size is cropped and resized.

    Raises:
        DataError: Its shape or dtype is another, and cannot be made to fit.
    """
    if data.shape == spec.shape and data.dtype == spec.dtype:
        return np.ascontiguousarray(data)
    if (
        spec.kind == "image"
        and data.dtype == np.uint8
        and data.ndim in (2, 3)
        and (data.ndim == 2 or data.shape[2] <= 4)
    ):
        return fit_image(Image.fromarray(data.squeeze()), spec.shape)
    raise DataError(
        f"{name} is {data.dtype} {list(data.shape)}; this bundle takes {spec.dtype} {list(spec.shape)} ({spec.kind})"
    )


def _open_folder(place: str, manifest: Manifest) -> Source:
    root = Path(place)
    if not root.exists():
        raise DataError(f"there is no {root}; give a picture, or a folder of pictures")
    _need_images(manifest, place)
    paths = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise DataError(f"{root} holds no picture; the endings that are known: {', '.join(sorted(SUFFIXES))}")
    return Source(place, lambda: (_read_picture(path, manifest) for path in paths))


def _open_stdin(_place: str, manifest: Manifest) -> Source:
    _need_images(manifest, "standard input")

    def draw() -> Iterator[Drawn]:
        for line in sys.stdin:
            if path := line.strip():
                yield _read_picture(Path(path), manifest)

    return Source("-", draw)


def _open_npy(place: str, manifest: Manifest) -> Source:
    try:
        samples = np.load(place, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{place} cannot be read as .npy: {error}") from error
    return _array_source(place, samples, None, manifest)


def _open_npz(place: str, manifest: Manifest) -> Source:
    try:
        with np.load(place, allow_pickle=False) as arrays:
            name = next((name for name in ("x_test", "x") if name in arrays), None)
            if name is None:
                raise DataError(f"{place} holds {', '.join(arrays) or 'nothing'}; save the samples as x (and y)")
            truth = name.replace("x", "y", 1)
            samples, truth_N, arrival_N = arrays[name], arrays.get(truth), arrays.get("arrival")
    except DataError:
        raise
    except Exception as error:  # a damaged archive raises what zipfile, zlib or numpy happen to raise
        raise DataError(f"{place} cannot be read as .npz: {error}") from error
    if truth_N is not None and truth_N.shape != (len(samples),):
        raise DataError(f"{place}: {truth} has shape {truth_N.shape}, {name} holds {len(samples)} samples")
    if arrival_N is not None and (
        arrival_N.shape != (len(samples),) or np.any(arrival_N[:1] < 0) or not np.all(np.diff(arrival_N) >= 0)
    ):
        raise DataError(
            f"{place}: arrival has shape {arrival_N.shape}; give each of the {len(samples)} samples its seconds since "
            "the start, never falling"
        )
    return _array_source(place, samples, truth_N, manifest, arrival_N)


def _open_data(kind: str) -> Opener:
    def open_data(place: str, manifest: Manifest) -> Source:
        from offramp.data import Part, Request, load

        data = load(f"{kind}:{place}", Request(shape=manifest.sample.shape))
        test = data.part_N == Part.TEST
        chosen = data.take(test) if test.any() else data
        return _array_source(f"{kind}:{place}", chosen.samples, chosen.truth_N, manifest)

    return open_data


def _open_camera_digits(place: str, manifest: Manifest) -> Source:
    if place and not place.isdigit():
        raise InputError(f"camera-digits:{place} has no number as its seed; write camera-digits, or camera-digits:7")
    _need_images(manifest, "camera-digits")
    from offramp.data import Part
    from offramp.data.camera import camera_frames
    from offramp.data.digits import digits, photographs

    # What it is made of may be missing: say so now. And what decoding frees now, opening the bundle uses again.
    digits()
    photographs(Part.TEST)

    def draw() -> Iterator[Drawn]:
        for number, frame in enumerate(camera_frames(seed=int(place or 0))):
            name = f"run {frame.run}, frame {number}"
            yield Drawn(fit_sample(frame.image, manifest.sample), truth=_truth(str(frame.truth), manifest), name=name)

    return Source("camera-digits", draw)


def _open_camera(place: str, manifest: Manifest) -> Source:
    _need_images(manifest, f"camera:{place}")
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("opencv-python-headless", "camera", "a camera as a source") from error
    camera = cv2.VideoCapture(int(place) if place.isdigit() else place)
    if not camera.isOpened():
        raise DataError(f"camera {place} cannot be opened; see which there are with: ls /dev/video*")
    camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not one that waited in the driver

    def draw() -> Iterator[Drawn]:
        try:
            while True:
                came, frame_HWC = camera.read()
                if not came:
                    return
                yield Drawn(fit_sample(np.ascontiguousarray(frame_HWC[..., ::-1]), manifest.sample))
        finally:
            camera.release()

    return Source(f"camera:{place}", draw, live=True)


def _array_source(name: str, samples: Any, truth_N: Any, manifest: Manifest, arrival_N: Any = None) -> Source:
    if samples.ndim == 0 or not len(samples):
        raise DataError(f"{name} holds no samples; give an array [N, {', '.join(map(str, manifest.sample.shape))}]")
    if manifest.sample.kind == "image" and samples.ndim == 3:
        samples = samples[..., None]  # [N, H, W] pictures in grey
    fit_sample(np.asarray(samples[0]), manifest.sample, name)  # all have one shape: say now that it does not fit

    def draw() -> Iterator[Drawn]:
        for index in range(len(samples)):
            truth = None if truth_N is None else int(truth_N[index])
            at = None if arrival_N is None else Seconds(float(arrival_N[index]))
            data = fit_sample(np.asarray(samples[index]), manifest.sample)
            yield Drawn(data, truth=truth, name=f"{name}[{index}]", at=at)

    return Source(name, draw)


def _read_picture(path: Path, manifest: Manifest) -> Drawn:
    truth = _truth(path.parent.name, manifest)
    try:
        return Drawn(read_image(path, manifest.sample.shape), truth=truth, name=str(path))
    except OfframpError as error:
        return Drawn(None, error=str(error), truth=truth, name=str(path))


def _truth(label: str, manifest: Manifest) -> int | None:
    return manifest.labels.index(label) if label in manifest.labels else None


def _need_images(manifest: Manifest, name: str) -> None:
    if manifest.sample.kind != "image":
        shape = list(manifest.sample.shape)
        raise DataError(
            f"{name} gives pictures; {manifest.name!r} takes {manifest.sample.kind} {manifest.sample.dtype} {shape}: "
            "give a .npy or .npz file"
        )


SOURCES: Catalogue[Opener] = Catalogue(
    "kind of source",
    [
        ("folder", _open_folder),
        ("npy", _open_npy),
        ("npz", _open_npz),
        ("-", _open_stdin),
        ("camera-digits", _open_camera_digits),
        ("camera", _open_camera),
        ("cifar10", _open_data("cifar10")),
        ("cifar100", _open_data("cifar100")),
        ("mitbih", _open_data("mitbih")),
        ("mnist", _open_data("mnist")),
    ],
)
