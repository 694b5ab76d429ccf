"""A picture file to a raw sample, the same way wherever one is read: in a data set, or by a device's source."""

from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from offramp.errors import DataError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
MAX_PIXELS = 178_956_970  # Pillow's own bound against decompression bombs (it only warns up to twice that)


def read_image(file: str | Path | IO[bytes], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The picture as uint8 [H, W, C]: upright, centre-cropped to the aspect ratio, resized; C is 1 (grey) or 3 (RGB).

    Raises:
        DataError: There is no such file, it is no picture, it is damaged, or it is larger than any picture should be.
    """
    where = file if isinstance(file, str | Path) else getattr(file, "name", "the picture")
    try:
        with Image.open(file) as image:
            return fit_image(image, shape)
    # Pillow's decoders raise whatever their format led them to: SyntaxError for a broken PNG, ValueError, EOFError …
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{where} cannot be read as a picture: {_reason(error)}") from error


def fit_image(image: Image.Image, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An opened picture, fitted as `read_image` does it."""
    height, width, channels = shape
    if image.width * image.height > MAX_PIXELS:
        raise DataError(f"{image.width}x{image.height} is more than {MAX_PIXELS} pixels; scale the picture down first")
    # JPEG decodes at 1/2, 1/4 or 1/8 of the size almost for free; at least twice what is wanted keeps the quality.
    image.draft("RGB" if channels == 3 else "L", (2 * width, 2 * height))
    upright = ImageOps.exif_transpose(image).convert("RGB" if channels == 3 else "L")
    if upright.size != (width, height):
        upright = ImageOps.fit(upright, (width, height), Image.Resampling.BILINEAR)
    return np.asarray(upright, dtype=np.uint8).reshape(shape)


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
