"""Rate and distortion: accuracy over bytes of a payload, one line a family, as SVG for light and for dark pages.

right %
 91 ┤        ●──●──────●          learned
 88 ┤     ●             ╭──◆      affine at the same split
 80 ┤   ●         ╭─────╯ ■       JPEG
    └──┬──────┬───────┬─────
       16    128    1,024   bytes
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.codecs.spots import Spot, front
from offramp.plan import via_of
from offramp_evaluation.traces.canvas import Point, SvgCanvas

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 420, 60, 190, 36, 44
# Okabe and Ito's colours, told apart by everybody, on white and on black.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")


@dataclass(frozen=True, slots=True)
class Page:
    """Colours of a page."""

    paper: str
    ink: str
    grid: str


LIGHT, DARK = Page("#ffffff", "#222222", "#dddddd"), Page("#0d1117", "#e6edf3", "#30363d")


def families(spots: Sequence[Spot], names: Sequence[str]) -> dict[str, list[Spot]]:
    """Fronts of spots that belong together: an image format, a bottleneck, plain features at one split."""
    found: dict[str, list[Spot]] = {}
    for spot in spots:
        via = via_of(spot.codec)
        base = spot.codec.partition(":")[0].partition("+")[0]
        if via:
            name = f"learned: {via}"
        elif spot.input:
            name = base if base in ("jpeg", "webp") and not spot.codec.endswith("lossless") else ""
        else:
            name = f"plain at {names[spot.split]}"
        if name:
            found.setdefault(name, []).append(spot)
    return {name: front(found[name]) for name in sorted(found, key=lambda one: (not one.startswith("learned"), one))}


def draw(lines: Mapping[str, Sequence[Spot]], whole: float, title: str, page: Page, *, below: float) -> bytes:
    """From `below` under the whole network's accuracy upwards; the same spots give the same bytes."""
    canvas = SvgCanvas(WIDTH, HEIGHT)
    canvas.area([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], page.paper)
    shown = {name: [spot for spot in spots if spot.accuracy >= whole - below] for name, spots in lines.items()}
    sizes = [spot.payload for spots in shown.values() for spot in spots]
    low, high = math.log2(max(1.0, min(sizes))) - 0.2, math.log2(max(sizes)) + 0.2
    floor, top = whole - below, max(whole, *(spot.accuracy for spots in shown.values() for spot in spots)) + 0.005

    def at(nbytes: float, accuracy: float) -> Point:
        across = (math.log2(max(1.0, nbytes)) - low) / (high - low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - (accuracy - floor) / (top - floor) * (
            HEIGHT - TOP - BOTTOM
        )

    for power in range(math.ceil(low), math.floor(high) + 1, 2):
        x, y = at(2**power, floor)
        canvas.line([(x, y), (x, TOP)], page.grid)
        canvas.text((x, y + 17), f"{2**power:,}", page.ink, anchor="middle")
    canvas.text((LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 8), "bytes of a payload", page.ink, anchor="middle")
    for step in range(6):
        value = floor + (top - floor) * step / 5
        x, y = at(2**low, value)
        canvas.line([(x, y), at(2**high, value)], page.grid)
        canvas.text((x - 6, y + 4), f"{100 * value:.1f}", page.ink, anchor="end")
    canvas.line([at(2**low, whole), at(2**high, whole)], page.ink)
    canvas.text((LEFT, 20), title, page.ink, bold=True)
    for place, (name, spots) in enumerate(shown.items()):
        colour, width = _COLOURS[place % len(_COLOURS)], 2.2 if name.startswith("learned") else 1.2
        points = [at(spot.payload, spot.accuracy) for spot in spots]
        if len(points) > 1:
            canvas.line(points, colour, width)
        for x, y in points:
            canvas.area([(x - 3, y - 3), (x + 3, y - 3), (x + 3, y + 3), (x - 3, y + 3)], colour)
        y = TOP + 18.0 * place
        canvas.line([(WIDTH - RIGHT + 12, y), (WIDTH - RIGHT + 34, y)], colour, width)
        canvas.text((WIDTH - RIGHT + 40, y + 4), name, page.ink)
    return canvas.to_bytes()
