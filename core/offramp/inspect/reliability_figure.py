"""Reliability diagrams as SVG: what a browser shows, without a library for drawing."""

from collections.abc import Sequence
from html import escape

from offramp.exits.reliability import Bin
from offramp.inspect.reliability_page import Exit

SIDE, MARGIN, GAP = 220, 36, 24
"""Pixels of a diagram, of what is left around it, and between two."""
_INK, _RIGHT, _OFF = "#333", "#4878a8", "#d9822b"


def reliability_figure(exits: Sequence[Exit]) -> str:
    """SVG: for each exit the raw diagram above, the calibrated one below."""
    width = MARGIN + len(exits) * (SIDE + GAP)
    height = 2 * (SIDE + MARGIN + GAP) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11" fill="{_INK}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for column, one in enumerate(exits):
        for row, (word, what) in enumerate((("raw", one.raw), ("calibrated", one.calibrated))):
            left, top = MARGIN + column * (SIDE + GAP), MARGIN + row * (SIDE + MARGIN + GAP)
            parts.append(f'<g transform="translate({left} {top})">')
            parts.append(f'<text y="-8">{escape(one.name)}, {word}: off by {100 * what.width_error:.1f} %</text>')
            parts += [*_bars(what.bins), *_frame()]
            parts.append("</g>")
    return "\n".join([*parts, "</svg>\n"])


def _bars(bins: Sequence[Bin]) -> list[str]:
    """What came true, and the distance from there to what was said."""
    drawn = []
    for one in bins:
        left, wide = SIDE * one.low, SIDE * (one.high - one.low) - 1
        right, said = SIDE * one.accuracy, SIDE * one.confidence
        drawn.append(_box(left, SIDE - right, wide, right, _RIGHT))
        drawn.append(_box(left, SIDE - max(right, said), wide, abs(right - said), _OFF))
    return drawn


def _box(left: float, top: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}" '
        f'fill-opacity="0.8"/>'
    )


def _frame() -> list[str]:
    return [
        f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="{_INK}"/>',
        f'<line x1="0" y1="{SIDE}" x2="{SIDE}" y2="0" stroke="{_INK}" stroke-dasharray="3 3"/>',
        f'<text x="{SIDE / 2}" y="{SIDE + 16}" text-anchor="middle">confidence</text>',
        f'<text x="-8" y="{SIDE / 2}" text-anchor="middle" transform="rotate(-90 -8 {SIDE / 2})">right</text>',
    ]
