"""Image codecs for cut 0: an image of the declared size in, the same image (or nearly) out.

    uint8 [1, H, W, C] ─► Pillow ─► PNG | JPEG | WebP ─► header checked against H, W, C ─► uint8 [1, H, W, C]

Headers are checked before pixels are decoded, so a peer cannot make the edge take more memory than the sample needs.

# H height, W width, C channels (1 or 3)
"""

import io
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from offramp.codecs.packer import Crossing, check_feature
from offramp.errors import MissingExtraError, PayloadError, UnknownNameError
from offramp.records import Array, Feature
from offramp.units import Bytes

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

MODES = {1: "L", 3: "RGB"}
"""Pillow's mode by number of channels."""
HEADROOM = 4
"""Payload over pixels, at most: noise as JPEG of quality 100 takes 1.3 times its pixels, 3.4 is the format's worst."""
HEADERS = 16 << 10
"""Bytes for everything beside the pixels; ours need 0.7 KB."""
LOSSLESS = "lossless"


class ImagePacker:
    """One image format; what the formats differ in stands in their classes."""

    format: str
    max_side: int
    exact = False

    def __init__(self, crossing: Crossing, options: dict[str, Any]) -> None:
        self._crossing = crossing
        (spec,) = crossing.tensors
        height, width, channels = spec.shape
        self._size, self._mode = (width, height), MODES[channels]
        self.max_packed = Bytes(HEADROOM * spec.nbytes + HEADERS)
        self._options = options
        try:
            from PIL import Image
        except ImportError as error:
            raise MissingExtraError("pillow", "device", f"the codec {self.format.lower()}") from error
        self._image = Image

    def pack(self, feature: Feature) -> memoryview:
        check_feature(feature, self._crossing)
        pixels = feature[0][0, :, :, 0] if self._mode == "L" else feature[0][0]
        buffer = io.BytesIO()
        self._image.fromarray(pixels).save(buffer, self.format, **self._options)
        assert buffer.tell() <= self.max_packed, (self.format, buffer.tell(), self.max_packed)
        return buffer.getbuffer()

    def unpack(self, packed: bytes) -> Feature:
        try:
            self.check_header(packed)
            with self.open_file(io.BytesIO(packed)) as image:
                if image.size != self._size:
                    raise PayloadError(self._differs(*image.size))
                pixels = self._pixels(image)
        except PayloadError:
            raise
        except Exception as error:  # Pillow raises a dozen kinds for malformed files, SyntaxError among them
            reason = str(error) or type(error).__name__
            raise PayloadError(f"a malformed {self.format} of {len(packed)} bytes: {reason}") from error
        return (pixels.reshape(1, *self._crossing.tensors[0].shape),)

    def check_header(self, packed: bytes) -> None:
        """Raise where merely opening the file would take memory for the size that it declares."""

    @abstractmethod
    def open_file(self, file: io.BytesIO) -> "ImageFile":
        """Parse the header with this format's own class: `Image.open` would try others too, and warn of bombs."""

    def _pixels(self, image: "ImageFile") -> Array:
        if image.mode != self._mode:
            raise PayloadError(f"a {self.format} of mode {image.mode} where {self._mode} is expected")
        return np.asarray(image)

    def _differs(self, width: int, height: int) -> str:
        return f"a {self.format} of {width}x{height} where {self._size[0]}x{self._size[1]} is expected"

    @classmethod
    def refusal(cls, crossing: Crossing) -> str:
        if crossing.kind != "image":
            return f"{cls.format} is for images at cut 0"
        (spec,) = crossing.tensors
        if spec.dtype != "uint8" or len(spec.shape) != 3 or spec.shape[2] not in MODES:
            return f"{cls.format} is for uint8 images of 1 or 3 channels, not for {spec.dtype} {list(spec.shape)}"
        if not all(0 < side <= cls.max_side for side in spec.shape[:2]):
            return f"{cls.format} is for sides of 1 to {cls.max_side} pixels"
        return ""


class Png(ImagePacker):
    """Lossless."""

    format = "PNG"
    max_side = (1 << 31) - 1

    def __init__(self, crossing: Crossing, _parameter: str) -> None:
        super().__init__(crossing, {})

    def open_file(self, file: io.BytesIO) -> "ImageFile":
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile(file)

    def check_header(self, packed: bytes) -> None:
        # Pillow unpacks compressed text and colour profiles as it opens a file, up to 64 MB of them.
        at = 8
        while at + 8 <= len(packed):
            kind = packed[at + 4 : at + 8]
            if kind not in (b"IHDR", b"IDAT", b"IEND"):
                raise PayloadError(f"a PNG with a chunk {kind!r} where only pixels are expected")
            at += 12 + int.from_bytes(packed[at : at + 4], "big")


class Jpeg(ImagePacker):
    """Lossy, with the quality of libjpeg, 1 to 100."""

    format = "JPEG"
    max_side = 65500  # libjpeg's JPEG_MAX_DIMENSION

    def __init__(self, crossing: Crossing, parameter: str) -> None:
        # Huffman tables of its own: 29 % fewer bytes at 32x32 for 6 µs, 5 % at 224x224 for 190 µs.
        super().__init__(crossing, {"quality": quality("jpeg", parameter), "optimize": True})

    def open_file(self, file: io.BytesIO) -> "ImageFile":
        from PIL.JpegImagePlugin import JpegImageFile

        return JpegImageFile(file)

    def _pixels(self, image: "ImageFile") -> Array:
        # Each scan of a progressive file may be 12 bytes that take a pass over the whole image: 600 KB took 2.6 s.
        if image.info.get("progressive"):
            raise PayloadError("a progressive JPEG; only baseline is expected")
        return super()._pixels(image)


class Webp(ImagePacker):
    """Lossy, with the quality of libwebp, 1 to 100; or lossless."""

    format = "WEBP"
    max_side = 16383

    def __init__(self, crossing: Crossing, parameter: str) -> None:
        if parameter == LOSSLESS:
            # The least effort: method 4 saves 14 % of the bytes at 224x224 and takes 18 times as long.
            options: dict[str, Any] = {"lossless": True, "quality": 0, "method": 0}
        else:
            # Method 2: within 3 % of the bytes of the default, 4, in 0.4 of its time.
            options = {"quality": quality("webp", parameter, or_else=f" or webp:{LOSSLESS}"), "method": 2}
        super().__init__(crossing, options)

    def check_header(self, packed: bytes) -> None:
        # libwebp's decoder takes two canvases when it is opened, up to 2 GB, before anybody can ask for the size.
        width, height = _webp_size(packed)
        if (width, height) != self._size:
            raise PayloadError(self._differs(width, height))

    def open_file(self, file: io.BytesIO) -> "ImageFile":
        from PIL.WebPImagePlugin import WebPImageFile

        return WebPImageFile(file)

    def _pixels(self, image: "ImageFile") -> Array:
        if image.mode == "RGB" and self._mode == "L":  # WebP knows no grey; R = G = B comes back exactly
            return np.asarray(image.convert("L"))
        return super()._pixels(image)


def _webp_size(packed: bytes) -> tuple[int, int]:
    """Width and height of a still image without metadata, the only kind that we write.

    Container: RFC 9649, sections 2.4 to 2.6; frame header: RFC 6386, 9.1; lossless header: RFC 9649, 3.4.
    """
    if len(packed) >= 30 and packed[:4] == b"RIFF" and packed[8:12] == b"WEBP":
        if packed[12:16] == b"VP8 " and packed[23:26] == b"\x9d\x01\x2a":
            width, height = (int.from_bytes(packed[at : at + 2], "little") & 0x3FFF for at in (26, 28))
            return width, height
        if packed[12:16] == b"VP8L" and packed[20] == 0x2F:
            bits = int.from_bytes(packed[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise PayloadError(f"{len(packed)} bytes are not a plain WebP image")


def quality(name: str, parameter: str, *, or_else: str = "") -> int:
    """
    Raises:
        UnknownNameError: Not a whole number from 1 to 100.
    """
    if parameter.isascii() and parameter.isdigit() and not parameter.startswith("0") and int(parameter) <= 100:
        return int(parameter)
    given = f"{name}:{parameter}" if parameter else f"{name} without a quality"
    raise UnknownNameError(f"there is no codec {given}; write {name}:1 to {name}:100{or_else}, such as {name}:75")
