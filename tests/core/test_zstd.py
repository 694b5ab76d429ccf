import numpy as np
import pytest
import zstandard

from offramp.codecs.catalog import open_codec
from offramp.errors import PayloadError
from tests.support.features import FEATURE_CUT, a_manifest_sending, a_tensor

SIZE = 4096
MANIFEST = a_manifest_sending(a_tensor(SIZE))
CODEC = open_codec("affine8+zstd", MANIFEST, FEATURE_CUT)


def a_frame(data: bytes, **options: bool) -> bytes:
    return zstandard.ZstdCompressor(level=1, **options).compress(data)


def test_a_bomb_is_refused_by_what_it_declares() -> None:
    bomb = a_frame(b"\0" * (64 << 20))
    assert len(bomb) < CODEC.max_payload
    with pytest.raises(PayloadError, match=f"declares {64 << 20} bytes where {SIZE} are expected"):
        CODEC.decode(bomb)


def test_a_bomb_that_lies_about_its_size_is_refused() -> None:
    honest = zstandard.ZstdCompressor(level=1).compress(b"\0" * (64 << 20))
    # A frame of 64 MiB holds its size in four bytes, after the magic number and the descriptor (RFC 8878, 3.1.1.1).
    at = honest.index((64 << 20).to_bytes(4, "little"), 4)
    with pytest.raises(PayloadError):
        CODEC.decode(honest[:at] + SIZE.to_bytes(4, "little") + honest[at + 4 :])


def test_a_frame_that_declares_no_size_is_refused() -> None:
    with pytest.raises(PayloadError, match="declares no size"):
        CODEC.decode(a_frame(b"\0" * SIZE, write_content_size=False))


@pytest.mark.parametrize("size", [0, SIZE - 1, SIZE + 1])
def test_another_size_is_refused(size: int) -> None:
    with pytest.raises(PayloadError, match=f"declares {size} bytes where {SIZE} are expected"):
        CODEC.decode(a_frame(b"\0" * size))


def test_bytes_after_the_frame_are_refused() -> None:
    frame = a_frame(b"\0" * SIZE)
    for extra in (b"\0", frame, a_frame(b"")):
        with pytest.raises(PayloadError, match="not a zstd frame"):
            CODEC.decode(frame + extra)


def test_a_skippable_frame_is_refused() -> None:
    with pytest.raises(PayloadError):
        CODEC.decode(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + a_frame(b"\0" * SIZE))


def test_noise_grows_no_further_than_announced() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 100, 5000, 140_000):
        codec = open_codec("float32+zstd", a_manifest_sending(a_tensor(size)), FEATURE_CUT)
        noise = rng.integers(0, 256, 4 * size, dtype=np.uint8).view(np.float32)[None]
        assert len(codec.encode((noise,))) <= codec.max_payload
