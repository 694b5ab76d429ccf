"""Sources give samples as cut 0 declares them, and say clearly what they cannot."""

import io
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from offramp.bundle.manifest import Manifest
from offramp.errors import DataError, InputError, MissingExtraError, UnknownNameError
from offramp.records import SampleSpec
from offramp_device.sources import Drawn, fit_sample, open_source
from tests.support.manifests import a_manifest

IMAGE = SampleSpec(kind="image", shape=(16, 16, 3), dtype="uint8")
AUDIO = SampleSpec(kind="audio", shape=(100,), dtype="int16")


@pytest.fixture
def manifest() -> Manifest:
    return a_manifest()


@pytest.fixture
def listener() -> Manifest:
    """A bundle that takes audio."""
    manifest = a_manifest()
    object.__setattr__(manifest, "sample", AUDIO)
    return manifest


def drawn(text: str, manifest: Manifest, count: int | None = None) -> list[Drawn]:
    return list(islice(open_source(text, manifest).draw(), count))


def test_pictures_come_in_the_order_of_their_paths_and_class_folders_tell_the_truth(
    tmp_path: Path, manifest: Manifest
) -> None:
    for label, name in (("class 3", "b.png"), ("class 1", "a.png"), ("no class", "c.png")):
        (tmp_path / label).mkdir()
        Image.new("RGB", (30, 20)).save(tmp_path / label / name)
    assert [item.truth for item in drawn(str(tmp_path), manifest)] == [1, 3, None]


def test_one_picture_is_a_source_of_one(tmp_path: Path, manifest: Manifest) -> None:
    Image.new("L", (50, 50)).save(tmp_path / "one.png")
    (item,) = drawn(str(tmp_path / "one.png"), manifest)
    assert item.data is not None
    assert (item.data.shape, item.data.dtype) == ((16, 16, 3), np.uint8)


def test_arrays_may_carry_their_truth(tmp_path: Path, manifest: Manifest) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 16, 16, 3), np.uint8), y=[4, 2, 0])
    assert [item.truth for item in drawn(str(tmp_path / "x.npz"), manifest)] == [4, 2, 0]


def test_an_npz_may_say_when_its_samples_arrive(tmp_path: Path, manifest: Manifest) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 16, 16, 3), np.uint8), arrival=[0.0, 0.5, 0.5])
    assert [item.at for item in drawn(str(tmp_path / "x.npz"), manifest)] == [0.0, 0.5, 0.5]


@pytest.mark.parametrize("arrival", [[0.0, 0.5], [0.5, 0.0, 1.0], [-1.0, 0.0, 1.0], [0.0, np.nan, 1.0]])
def test_arrivals_that_cannot_be_are_refused(tmp_path: Path, manifest: Manifest, arrival: list[float]) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 16, 16, 3), np.uint8), arrival=arrival)
    with pytest.raises(DataError, match="seconds since the start"):
        open_source(str(tmp_path / "x.npz"), manifest)


def test_the_test_part_of_a_file_goes_first(tmp_path: Path, manifest: Manifest) -> None:
    one, two = np.zeros((1, 16, 16, 3), np.uint8), np.ones((2, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "x.npz", x=one, y=[0], x_test=two, y_test=[1, 1])
    assert len(drawn(str(tmp_path / "x.npz"), manifest)) == 2


def test_audio_comes_from_an_array(tmp_path: Path, listener: Manifest) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 100), np.int16))
    assert [item.data.shape for item in drawn(str(tmp_path / "x.npy"), listener) if item.data is not None] == [
        (100,)
    ] * 2


def test_paths_are_read_from_standard_input_one_a_line(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{tmp_path / 'a.png'}\n\n{tmp_path / 'b.png'}\n"))
    good, bad = drawn("-", manifest)
    assert (good.error, bad.data) == ("", None)
    assert "b.png" in bad.error


@pytest.mark.parametrize(
    ("text", "other"), [("camera-digits", "camera-digits:7"), ("camera-digits:7", "camera-digits:8")]
)
def test_frames_of_camera_digits_depend_on_the_seed_alone(text: str, other: str, manifest: Manifest) -> None:
    once, again, elsewhere = (drawn(name, manifest, 3) for name in (text, text, other))
    assert all(np.array_equal(a.data, b.data) for a, b in zip(once, again, strict=True))  # type: ignore[arg-type]
    assert not np.array_equal(once[0].data, elsewhere[0].data)  # type: ignore[arg-type]


def test_a_camera_is_live_and_its_frames_are_fitted(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV gives blue first."""
    frame_HWC = np.zeros((48, 64, 3), np.uint8)
    frame_HWC[..., 0] = 255
    camera = SimpleNamespace(
        isOpened=lambda: True, read=lambda: (True, frame_HWC), set=lambda *_: None, release=lambda: None
    )
    fake = SimpleNamespace(VideoCapture=lambda place: camera, CAP_PROP_BUFFERSIZE=38)
    monkeypatch.setitem(sys.modules, "cv2", fake)
    source = open_source("camera:0", manifest)
    item = next(source.draw())
    assert source.live
    assert item.data is not None
    assert item.data[0, 0].tolist() == [0, 0, 255]


def test_without_opencv_a_camera_names_the_extra(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtraError, match=r"offramp\[camera\]"):
        open_source("camera:0", manifest)


def test_a_camera_that_is_not_there_is_said_at_once(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(VideoCapture=lambda place: SimpleNamespace(isOpened=lambda: False))
    monkeypatch.setitem(sys.modules, "cv2", fake)
    with pytest.raises(DataError, match="camera 3 cannot be opened"):
        open_source("camera:3", manifest)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b"no array"), "cannot be read"),
        (lambda path: np.savez(path, z=np.zeros(3)), "holds z; save the samples as x"),
        (lambda path: np.savez(path, x=np.zeros((0, 16, 16, 3), np.uint8)), "holds no samples"),
        (lambda path: np.savez(path, x=np.zeros((2, 5), np.float32)), r"takes uint8 \[16, 16, 3\] \(image\)"),
        (lambda path: np.savez(path, x=np.zeros((2, 16, 16, 3), np.uint8), y=[1]), "y has shape"),
        (lambda path: np.savez(path, x=np.array([{}], object)), "cannot be read"),
    ],
)  # fmt: skip
def test_an_array_file_that_cannot_be_used_says_why(
    write: object, message: str, tmp_path: Path, manifest: Manifest
) -> None:
    write(tmp_path / "x.npz")  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        open_source(str(tmp_path / "x.npz"), manifest)


def test_a_source_that_is_none_lists_those_there_are(manifest: Manifest) -> None:
    with pytest.raises((DataError, UnknownNameError), match="camera-digits"):
        open_source("camera-digit", manifest)


def test_a_seed_is_a_number(manifest: Manifest) -> None:
    with pytest.raises(InputError, match="camera-digits:7"):
        open_source("camera-digits:seven", manifest)


def test_pictures_are_no_audio(listener: Manifest, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="gives pictures"):
        open_source(str(tmp_path), listener)


@pytest.mark.parametrize("shape", [(48, 64, 3), (48, 64), (48, 64, 1), (48, 64, 4)])
def test_a_picture_of_any_size_is_fitted(shape: tuple[int, ...]) -> None:
    assert fit_sample(np.zeros(shape, np.uint8), IMAGE).shape == IMAGE.shape


@pytest.mark.parametrize(
    "data", [np.zeros((16, 16, 3), np.float32), np.zeros((4, 16, 16, 3), np.uint8), np.zeros(9, np.uint8)]
)
def test_what_is_no_picture_is_not_made_one(data: np.ndarray) -> None:
    with pytest.raises(DataError, match="this bundle takes uint8"):
        fit_sample(data, IMAGE)


@pytest.mark.data
def test_the_test_part_of_published_data_is_a_source(data_root: Path, manifest: Manifest) -> None:
    items = drawn(f"cifar10:{data_root / 'cifar10'}", manifest_of(manifest, (32, 32, 3)), 5)
    assert [item.data.shape for item in items if item.data is not None] == [(32, 32, 3)] * 5


def manifest_of(manifest: Manifest, shape: tuple[int, ...]) -> Manifest:
    object.__setattr__(manifest, "sample", SampleSpec(kind="image", shape=shape, dtype="uint8"))
    return manifest
