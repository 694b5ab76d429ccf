"""Images from a peer: refused by their header, before anything is decoded."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from offramp.codecs.catalog import open_codec
from offramp.errors import PayloadError
from tests.support.features import a_manifest_of_samples, noise, photograph

COLOUR = a_manifest_of_samples("image", "uint8", 16, 16, 3)
GREY = a_manifest_of_samples("image", "uint8", 16, 16, 1)


def a_file(format_: str, width: int = 16, height: int = 16, *, mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, format_, **options)
    return buffer.getvalue()


def a_png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (body, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def a_jpeg_header(width: int, height: int) -> bytes:
    small = a_file("JPEG")
    at = small.index(b"\xff\xc0") + 5
    return small[:at] + struct.pack(">HH", height, width) + small[at + 4 :]


def a_webp_canvas(width: int, height: int) -> bytes:
    small = a_file("WEBP", lossless=True)
    at = small.index(b"VP8L") + 9
    return small[:at] + struct.pack("<I", (width - 1) | (height - 1) << 14) + small[at + 4 :]


@pytest.mark.parametrize(
    ("codec", "bomb", "declared"),
    [
        ("png", a_png_header(100_000, 100_000), "100000x100000"),
        ("jpeg:75", a_jpeg_header(65_500, 65_500), "65500x65500"),
        ("webp:80", a_webp_canvas(16_383, 16_383), "16383x16383"),
    ],
    ids=["png", "jpeg", "webp"],
)
def test_a_bomb_is_refused_by_the_size_that_it_declares(codec: str, bomb: bytes, declared: str) -> None:
    with pytest.raises(PayloadError, match=f"of {declared} where 16x16 is expected"):
        open_codec(codec, COLOUR, 0).decode(bomb)


@pytest.mark.parametrize(("codec", "format_"), [("png", "PNG"), ("jpeg:75", "JPEG"), ("webp:80", "WEBP")])
@pytest.mark.parametrize(("width", "height"), [(16, 15), (15, 16), (17, 16), (1, 1)])
def test_another_size_is_refused(codec: str, format_: str, width: int, height: int) -> None:
    with pytest.raises(PayloadError, match=f"of {width}x{height} where 16x16 is expected"):
        open_codec(codec, COLOUR, 0).decode(a_file(format_, width, height))


@pytest.mark.parametrize(
    ("codec", "format_", "mode"),
    [
        ("png", "PNG", "L"),
        ("png", "PNG", "RGBA"),
        ("png", "PNG", "P"),
        ("png", "PNG", "I;16"),
        ("jpeg:75", "JPEG", "L"),
        ("jpeg:75", "JPEG", "CMYK"),
        ("webp:80", "WEBP", "RGBA"),
    ],
)
def test_other_channels_are_refused(codec: str, format_: str, mode: str) -> None:
    file = a_file(format_, mode=mode, **({"lossless": True} if format_ == "WEBP" else {}))
    with pytest.raises(PayloadError):
        open_codec(codec, COLOUR, 0).decode(file)


@pytest.mark.parametrize(("codec", "format_"), [("png", "JPEG"), ("jpeg:75", "PNG"), ("webp:80", "GIF")])
def test_another_format_is_refused(codec: str, format_: str) -> None:
    with pytest.raises(PayloadError):
        open_codec(codec, COLOUR, 0).decode(a_file(format_))


def test_an_animation_is_refused() -> None:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (0, 99, 200)]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(PayloadError, match="not a plain WebP image"):
        open_codec("webp:80", COLOUR, 0).decode(buffer.getvalue())


def test_a_progressive_jpeg_is_refused() -> None:
    with pytest.raises(PayloadError, match="a progressive JPEG; only baseline is expected"):
        open_codec("jpeg:75", COLOUR, 0).decode(a_file("JPEG", progressive=True))


def test_a_png_that_carries_more_than_pixels_is_refused() -> None:
    text = PngInfo()
    text.add_text("bomb", "0" * 500_000, zip=True)
    with pytest.raises(PayloadError, match=r"a chunk b'zTXt' where only pixels are expected"):
        open_codec("png", COLOUR, 0).decode(a_file("PNG", pnginfo=text))


def test_a_higher_quality_costs_more_and_errs_less() -> None:
    (pixels,) = photograph(16, 16, 3)
    for name in ("jpeg", "webp"):
        sizes, errors = [], []
        for quality in (5, 50, 95):
            codec = open_codec(f"{name}:{quality}", COLOUR, 0)
            payload = codec.encode((pixels,))
            sizes.append(len(payload))
            errors.append(np.abs(codec.decode(payload)[0].astype(int) - pixels).mean())
        assert sizes == sorted(sizes)
        assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("manifest", [COLOUR, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize("name", ["jpeg:100", "webp:100", "webp:lossless", "png"])
def test_noise_at_the_highest_quality_fits_the_largest_payload(name: str, manifest: Any) -> None:
    codec = open_codec(name, manifest, 0)
    assert len(codec.encode(noise(manifest, 0))) <= codec.max_payload


def test_grey_comes_back_exactly_from_lossless_webp() -> None:
    codec, (pixels,) = open_codec("webp:lossless", GREY, 0), noise(GREY, 0)
    assert np.array_equal(codec.decode(codec.encode((pixels,)))[0], pixels)
