"""The table of exits as a picture: how right a branch is, and who leaves there, over the time to its answer.

Written as SVG by hand: a device has no plotting library, and needs none for two lines and some dots.
"""

import html
from collections.abc import Sequence
from pathlib import Path

from offramp.bundle.exits import ExitPoint, ExitTable
from offramp.errors import InputError
from offramp.units import format_seconds

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 64, 60
_RIGHT_COLOUR, _LEAVE_COLOUR, _GREY = "#1f5fa8", "#c8641e", "#808080"


def write_plot(table: ExitTable, name: str, path: Path) -> None:
    """
    Raises:
        InputError: The file is no .svg, or cannot be written.
    """
    if path.suffix != ".svg":
        raise InputError(f"{path} should be an .svg file; write --plot {path.with_suffix('.svg').name}")
    try:
        path.write_text(exits_svg(table, name), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


def exits_svg(table: ExitTable, name: str) -> str:
    """The same table gives the same text."""
    longest = 1.05 * max([table.full_seconds, *(point.trunk + point.branch for point in table.points)])

    def place(seconds: float, share: float) -> tuple[float, float]:
        across = _LEFT + (_WIDTH - _LEFT - _RIGHT) * seconds / longest
        return across, _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)

    def dots(shares: Sequence[float], colour: str, *, chosen: bool) -> list[str]:
        points = [place(point.trunk + point.branch, share) for point, share in zip(table.points, shares, strict=True)]
        drawn = [
            f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" stroke="{colour}"/>'
        ]
        for point, (x, y) in zip(table.points, points, strict=True):
            big = chosen and point.name in table.chosen.points
            fill = colour if point.split else "#ffffff"
            drawn.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{6 if big else 3}" fill="{fill}" stroke="{colour}">'
                f"<title>{html.escape(_told(point))}</title></circle>"
            )
        return drawn

    title = f"{name}: {len(table.points)} places for an exit, {len(table.chosen.points)} chosen"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 22, title, bold=True),
        _text(_LEFT, 40, "right, of the branch alone", colour=_RIGHT_COLOUR),
        _text(_LEFT + 190, 40, f"leave within {100 * table.drop:g} points", colour=_LEAVE_COLOUR),
        _text(_LEFT + 380, 40, "hollow: inside a block; large: chosen", colour=_GREY),
    ]
    for tenth in range(0, 11, 2):
        (x0, y), (x1, _) = place(0, tenth / 10), place(longest, tenth / 10)
        parts.append(f'<line x1="{x0:.1f}" y1="{y:.1f}" x2="{x1:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>')
        parts.append(_text(x0 - 8, y + 4, f"{10 * tenth} %", anchor="end"))
    for quarter in range(5):
        seconds = table.full_seconds * quarter / 4
        x, y = place(seconds, 0)
        parts.append(_text(x, y + 18, format_seconds(seconds) if quarter else "0", anchor="middle"))
    (x, top), (_, bottom) = place(table.full_seconds, 1), place(table.full_seconds, 0)
    parts.append(f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="{_GREY}"/>')
    parts.append(_text(_LEFT, _HEIGHT - 14, "time to the branch's answer at batch 1; the line is the whole network"))
    parts += dots([point.leaves for point in table.points], _LEAVE_COLOUR, chosen=False)
    parts += dots([point.accuracy for point in table.points], _RIGHT_COLOUR, chosen=True)
    return "\n".join([*parts, "</svg>", ""])


def _told(point: ExitPoint) -> str:
    return f"{point.name}: {100 * point.accuracy:.1f} % right, {100 * point.leaves:.1f} % leave"


def _text(x: float, y: float, text: str, *, colour: str = "#303030", anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}"{weight}>{html.escape(text)}</text>'
