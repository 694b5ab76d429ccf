"""Every loader reads what it documents, and names what it cannot read."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from offramp.data import LOADERS, Part, Request, cifar100, load
from offramp.errors import DataError, UnknownNameError
from tests.data.datasets import write_pictures

SIZE = Request(shape=(8, 8, 3))


def test_class_folders_become_labels_and_pictures_of_the_wanted_size(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"cat": 3, "dog": 2})
    data = load(f"folder:{tmp_path}", SIZE)
    assert data.labels == ("cat", "dog")
    assert data.truth_N.tolist() == [0, 0, 0, 1, 1]
    assert data.samples.shape == (5, 8, 8, 3)


def test_folders_named_after_parts_assign_them(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"train/cat": 2, "train/dog": 2, "val/cat": 1, "test/dog": 1})
    data = load(f"folder:{tmp_path}", SIZE)
    assert sorted(data.part_N.tolist()) == [Part.TRAIN] * 4 + [Part.CALIBRATION, Part.TEST]


def test_an_unreadable_picture_is_left_out_and_reported(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"cat": 3, "dog": 2})
    whole = (tmp_path / "cat" / "0.png").read_bytes()
    (tmp_path / "cat" / "1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "dog" / "0.png").write_bytes(b"not a picture")
    data = load(f"folder:{tmp_path}", SIZE)
    assert len(data) == 3
    assert [Path(where).name for where, _ in data.skipped] == ["1.png", "0.png"]
    assert all("cannot be read as a picture" in why for _, why in data.skipped)


def test_the_digest_of_a_folder_depends_on_its_pictures_not_on_its_place(tmp_path: Path) -> None:
    for place in ("here", "there"):
        write_pictures(tmp_path / place, {"cat": 2, "dog": 2})
    here, there = (load(f"folder:{tmp_path / place}", SIZE).digest for place in ("here", "there"))
    assert here == there
    Image.new("RGB", (20, 12)).save(tmp_path / "there" / "cat" / "0.png")
    assert load(f"folder:{tmp_path / 'there'}", SIZE).digest != here


@pytest.mark.parametrize(
    ("layout", "message"),
    [({}, "holds no class folders"), ({"cat": 0}, "holds no sample")],
)
def test_a_folder_without_pictures_is_refused(tmp_path: Path, layout: dict[str, int], message: str) -> None:
    write_pictures(tmp_path, layout)
    with pytest.raises(DataError, match=message):
        load(f"folder:{tmp_path}")


@pytest.mark.parametrize(
    ("x", "kind", "shape"),
    [
        (np.zeros((6, 5, 4, 3), np.uint8), "image", (5, 4, 3)),
        (np.zeros((6, 5, 4), np.uint8), "image", (5, 4, 1)),
        (np.zeros((6, 160), np.int16), "audio", (160,)),
        (np.zeros((6, 64), np.float32), "ecg", (64,)),
        (np.zeros((6, 2, 64), np.float32), "array", (2, 64)),
    ],
)
def test_arrays_tell_by_dtype_and_shape_what_they_are(
    tmp_path: Path, x: NDArray[np.generic], kind: str, shape: tuple[int, ...]
) -> None:
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(6) % 2, group=np.array(list("aabbcc")), labels=np.array(["n", "v"]))
    data = load(f"npz:{tmp_path / 'a.npz'}")
    assert (data.sample.kind, data.sample.shape) == (kind, shape)
    assert data.labels == ("n", "v")
    assert data.group_N.tolist() == [0, 0, 1, 1, 2, 2]


def test_the_test_arrays_are_kept_for_the_test(tmp_path: Path) -> None:
    x, y = np.zeros((4, 8), np.int16), np.arange(4)
    np.savez(tmp_path / "a.npz", x=x, y=y, x_test=x[:2], y_test=y[:2])
    assert load(f"npz:{tmp_path / 'a.npz'}").part_N.tolist() == [0, 0, 0, 0, Part.TEST, Part.TEST]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((4, 8))}, "no array 'y'"),
        ({"x": np.zeros((4, 8)), "y": np.zeros(4)}, "one class index per sample"),
        ({"x": np.zeros((4, 8)), "y": np.zeros(3, int)}, "4 samples but labels of shape"),
        ({"x": np.zeros((4, 8)), "y": np.zeros(4, int), "lables": np.zeros(1)}, "did you mean 'labels'"),
        ({"x": np.array([object()] * 4), "y": np.zeros(4, int)}, "cannot be read"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict[str, NDArray[np.generic]], message: str
) -> None:
    np.savez(tmp_path / "a.npz", allow_pickle=True, **arrays)
    with pytest.raises(DataError, match=message):
        load(f"npz:{tmp_path / 'a.npz'}")


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    header = b"\0\0\x08" + bytes([values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes()))


def write_mnist(folder: Path) -> NDArray[np.uint8]:
    pictures = np.random.default_rng(0).integers(0, 255, (6, 28, 28), dtype=np.uint8)
    for part, rows in (("train", slice(0, 4)), ("t10k", slice(4, 6))):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", pictures[rows])
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", np.arange(6, dtype=np.uint8)[rows])
    return pictures


def test_mnist_is_read_from_its_idx_files(tmp_path: Path) -> None:
    pictures = write_mnist(tmp_path)
    data = load(f"mnist:{tmp_path}")
    assert (data.samples[..., 0] == pictures).all()
    assert data.truth_N.tolist() == [0, 1, 2, 3, 4, 5]
    assert data.part_N.tolist() == [Part.TRAIN] * 4 + [Part.TEST] * 2


def test_a_truncated_idx_file_is_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-5]))
    with pytest.raises(DataError, match=r"declares \(4, 28, 28\) but holds"):
        load(f"mnist:{tmp_path}")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="damaged"):
        load(f"mnist:{tmp_path}")


PLANES = np.random.default_rng(1).integers(0, 255, (3, 3, 32, 32), dtype=np.uint8)
TRUTH = [6, 9, 200 % 10]


def python_batch(**labels: list[int]) -> bytes:
    """A batch as Python 2 pickled it: {'batch_label': …, 'labels': [6, 9, 0], 'data': array, 'filenames': […]}."""
    labels = labels or {"labels": TRUTH}

    def text(value: str) -> bytes:
        return b"U" + bytes([len(value)]) + value.encode()

    numbers = b"".join(
        text(name) + b"](" + b"".join(b"K" + bytes([label]) for label in truth) + b"e" for name, truth in labels.items()
    )
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x03M\x00\x0c\x86"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
    values = b"T" + struct.pack("<i", PLANES.size) + PLANES.tobytes() + b"tb"
    names = b"](" + b"".join(text(f"leaf_{number}.png") for number in range(3)) + b"e"
    return (
        (b"\x80\x02}(" + text("batch_label") + text("training batch 1 of 5") + numbers)
        + (text("data") + array + dtype + values + text("filenames") + names)
        + b"u."
    )


def write_binary(folder: Path) -> None:
    content = b"".join(bytes([label]) + planes.tobytes() for label, planes in zip(TRUTH, PLANES, strict=True))
    (folder / "data_batch_1.bin").write_bytes(content)
    (folder / "test_batch.bin").write_bytes(content)


def write_python(folder: Path) -> None:
    for name in ("data_batch_1", "test_batch"):
        (folder / name).write_bytes(python_batch())


@pytest.mark.parametrize("write", [write_binary, write_python], ids=["binary", "python"])
def test_cifar10_is_read_in_both_published_versions(tmp_path: Path, write: object) -> None:
    assert callable(write)
    write(tmp_path)
    data = load(f"cifar10:{tmp_path}")
    assert (data.samples[:3] == PLANES.transpose(0, 2, 3, 1)).all()
    assert data.truth_N.tolist() == TRUTH * 2
    assert data.part_N.tolist() == [Part.TRAIN] * 3 + [Part.TEST] * 3


COARSE, FINE = [4, 0, 19], [0, 51, 99]


def write_binary_100(folder: Path) -> None:
    records = zip(COARSE, FINE, PLANES, strict=True)
    content = b"".join(bytes([coarse, fine]) + planes.tobytes() for coarse, fine, planes in records)
    (folder / "train.bin").write_bytes(content)
    (folder / "test.bin").write_bytes(content)


def write_python_100(folder: Path) -> None:
    for name in ("train", "test"):
        (folder / name).write_bytes(python_batch(fine_labels=FINE, coarse_labels=COARSE))


@pytest.mark.parametrize("write", [write_binary_100, write_python_100], ids=["binary", "python"])
def test_cifar100_is_read_in_both_published_versions_with_its_fine_labels(tmp_path: Path, write: object) -> None:
    assert callable(write)
    write(tmp_path)
    data = load(f"cifar100:{tmp_path}")
    assert (data.samples[:3] == PLANES.transpose(0, 2, 3, 1)).all()
    assert data.truth_N.tolist() == FINE * 2
    assert [data.labels[truth] for truth in FINE] == ["apple", "mushroom", "worm"]
    assert data.part_N.tolist() == [Part.TRAIN] * 3 + [Part.TEST] * 3


def test_cifar100_has_a_hundred_classes_in_the_order_of_the_alphabet() -> None:
    assert len(set(cifar100.LABELS)) == 100
    assert list(cifar100.LABELS) == sorted(cifar100.LABELS)


def test_a_cifar100_without_its_test_file_says_which_is_missing(tmp_path: Path) -> None:
    write_binary_100(tmp_path)
    (tmp_path / "test.bin").unlink()
    with pytest.raises(DataError, match=r"test\.bin cannot be read"):
        load(f"cifar100:{tmp_path}")


def test_a_pickle_that_would_do_something_is_only_looked_at(tmp_path: Path) -> None:
    for name in ("data_batch_1", "test_batch"):
        (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    with pytest.raises(DataError, match="0 labels and 0 bytes"):
        load(f"cifar10:{tmp_path}")
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_batches_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no batches of CIFAR-10"):
        load(f"cifar10:{tmp_path}")


@pytest.mark.data
def test_the_real_cifar10_and_mnist_have_their_published_sizes(data_root: Path) -> None:
    cifar = load(f"cifar10:{data_root / 'cifar10'}")
    assert np.bincount(cifar.truth_N).tolist() == [6000] * 10
    assert int((cifar.part_N == Part.TEST).sum()) == 10_000
    mnist = load(f"mnist:{data_root / 'mnist'}")
    assert (len(mnist), mnist.sample.shape) == (70_000, (28, 28, 1))


def test_an_unknown_kind_names_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'folder'"):
        load("foldr:somewhere")


@pytest.mark.parametrize("name", [name for name, kind in LOADERS.items() if kind.needs_path])
def test_every_loader_that_reads_asks_for_a_path_and_names_a_missing_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="names no place"):
        load(name)
    with pytest.raises(DataError, match="nowhere"):
        load(f"{name}:{tmp_path / 'nowhere'}")
