"""Two small canvases that draw the same few shapes: SVG text, and PNG through Pillow. No plotting library.

Coordinates are pixels from the top left corner; colours are `#rrggbb`.
"""

import html
import io
from collections.abc import Sequence
from typing import Literal, Protocol

from offramp.errors import MissingExtraError

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]

TEXT = 12
"""Height of letters in pixels."""


class Canvas(Protocol):
    """Shapes are drawn one over the other, in the order of the calls."""

    def line(self, points: Sequence[Point], colour: str, width: float = 1.0) -> None: ...

    def area(self, points: Sequence[Point], colour: str) -> None: ...

    def text(self, point: Point, text: str, colour: str, *, anchor: Anchor = "start", bold: bool = False) -> None:
        """`point` is on the base line of the letters."""
        ...

    def to_bytes(self) -> bytes: ...


class SvgCanvas:
    """The same calls give the same bytes on every machine."""

    def __init__(self, width: int, height: int) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="{TEXT}">',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        ]

    def line(self, points: Sequence[Point], colour: str, width: float = 1.0) -> None:
        self._parts.append(
            f'<polyline points="{_points(points)}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>'
        )

    def area(self, points: Sequence[Point], colour: str) -> None:
        self._parts.append(f'<polygon points="{_points(points)}" fill="{colour}"/>')

    def text(self, point: Point, text: str, colour: str, *, anchor: Anchor = "start", bold: bool = False) -> None:
        weight = ' font-weight="bold"' if bold else ""
        # XML 1.0 has no control characters, escaped or not; a file name may.
        printable = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
        self._parts.append(
            f'<text x="{_number(point[0])}" y="{_number(point[1])}" fill="{colour}" '
            f'text-anchor="{anchor}"{weight}>{html.escape(printable)}</text>'
        )

    def to_bytes(self) -> bytes:
        return "\n".join([*self._parts, "</svg>", ""]).encode()


class PngCanvas:
    """Drawn at twice the size and scaled down, so that lines are smooth."""

    def __init__(self, width: int, height: int) -> None:
        try:
            from PIL import Image, ImageDraw, ImageFont
        except ImportError as error:
            raise MissingExtraError("Pillow", "evaluation", "drawing a PNG file") from error
        self._size = (width, height)
        self._image = Image.new("RGB", (width * 2, height * 2), "#ffffff")
        self._draw = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(TEXT * 2)

    def line(self, points: Sequence[Point], colour: str, width: float = 1.0) -> None:
        self._draw.line([(2 * x, 2 * y) for x, y in points], fill=colour, width=round(2 * width))

    def area(self, points: Sequence[Point], colour: str) -> None:
        self._draw.polygon([(2 * x, 2 * y) for x, y in points], fill=colour)

    def text(self, point: Point, text: str, colour: str, *, anchor: Anchor = "start", bold: bool = False) -> None:
        corner = {"start": "ls", "middle": "ms", "end": "rs"}[anchor]
        self._draw.text(
            (2 * point[0], 2 * point[1]),
            text,
            fill=colour,
            font=self._font,
            anchor=corner,
            stroke_width=1 if bold else 0,
        )

    def to_bytes(self) -> bytes:
        buffer = io.BytesIO()
        self._image.resize(self._size, 3).save(buffer, "PNG")  # 3: bicubic
        return buffer.getvalue()


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: float) -> str:
    """A tenth of a pixel is all that one can see."""
    return f"{round(value, 1):g}"
