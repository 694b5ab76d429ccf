"""One run over time, for papers: what the link carried, what samples took, and which plan was followed.

    link     ▇▇▇▂▂___▇▇    bandwidth, mean of each bin
    latency  ──╱╲╱──╲──    a line for each row
    plans    ▇▇▇▒▒▒▒▇▇▇    a bar for each row

# B bins of time
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from offramp_evaluation.report.records import Found
from offramp_evaluation.report.scales import COLOURS, GRID, INK, short, square, ticks
from offramp_evaluation.traces.canvas import Canvas

WIDTH = 760
LEFT, RIGHT = 110, 20
LINK, LATENCY, BARS = (30.0, 110.0), (145.0, 300.0), 335.0
"""Tops and floors of the panels, and where bars begin."""
BAR, LINE = 18.0, 16.0
MANY = 6
"""Rows that lines can tell apart; of more, strategies alone are drawn."""
SKY = "#cfe2f0"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Panel:
    """Over the same time, one above the other."""

    every: float
    bins: int
    most: float
    top: float
    floor: float

    def x(self, place: float) -> float:
        return LEFT + place / self.bins * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return self.floor - value / self.most * (self.floor - self.top)

    def draw(self, canvas: Canvas, label: str) -> None:
        for value in ticks(0.0, self.most)[::2]:
            canvas.line([(LEFT, self.y(value)), (WIDTH - RIGHT, self.y(value))], GRID)
            canvas.text((LEFT - 8, self.y(value) + 4), f"{value:.4g}", INK, anchor="end")
        canvas.text((8, self.top - 8), label, INK)


def drawn_rows(found: Found) -> list[dict[str, Any]]:
    """Those that a figure of this run shows."""
    rows: list[dict[str, Any]] = found.record["rows"]
    strategies = [row for row in rows if row["strategy"]]
    return rows if len(rows) <= MANY or not strategies else strategies[:MANY]


def height_of(found: Found) -> int:
    """Pixels that the figure needs."""
    rows = drawn_rows(found)
    return round(BARS + BAR * len(rows) + LINE * (len(_plans(rows)) + 1) + 30)


def draw_timeline(canvas: Canvas, found: Found) -> None:
    rows, link = drawn_rows(found), found.record["link"]
    bandwidth, every = [value / 1e6 for value in link["bandwidth"]], float(link["every"])
    bins, plans = len(bandwidth), _plans(rows)
    means = [[None if one is None else 1e3 * one for one in row["views"]["timeline"]["latency"]] for row in rows]
    known = [one for line in means for one in line if one is not None]
    top = _Panel(every=every, bins=bins, most=1.05 * max(*bandwidth, 1e-6), top=LINK[0], floor=LINK[1])
    middle = _Panel(every=every, bins=bins, most=1.05 * max([*known, 1e-6]), top=LATENCY[0], floor=LATENCY[1])
    top.draw(canvas, "link, Mbit/s")
    for place, rate in enumerate(bandwidth):
        left, right = top.x(place), top.x(place + 1)
        canvas.area([(left, top.floor), (left, top.y(rate)), (right, top.y(rate)), (right, top.floor)], SKY)
    middle.draw(canvas, "mean latency, ms")
    for place, line in enumerate(means):
        for stretch in _stretches(line):
            points = [(middle.x(at + 0.5), middle.y(value)) for at, value in stretch]
            canvas.line(points, COLOURS[place % len(COLOURS)], 1.5)
    for second in ticks(0.0, bins * every):
        canvas.text((middle.x(second / every), LATENCY[1] + 18), f"{second:.4g} s", INK, anchor="middle")
    for place, row in enumerate(rows):
        _bar(canvas, middle, BARS + place * BAR, row, plans)
        canvas.area(square((10, BARS + place * BAR + 7)), COLOURS[place % len(COLOURS)])
        canvas.text((20, BARS + place * BAR + 11), short(row["name"], 13), INK)
    for place, plan in enumerate(plans):
        y = BARS + BAR * len(rows) + LINE * (place + 1)
        canvas.area(square((LEFT + 5, y)), _of_plan(place))
        canvas.text((LEFT + 16, y + 4), plan, INK)


def _plans(rows: Sequence[dict[str, Any]]) -> list[str]:
    return sorted({plan for row in rows for plan in row["views"]["timeline"]["plans"]})


def _of_plan(place: int) -> str:
    return COLOURS[-1 - place % len(COLOURS)]


def _bar(canvas: Canvas, panel: _Panel, top: float, row: dict[str, Any], plans: Sequence[str]) -> None:
    """What each bin's plan was; a bin without a sample has none."""
    line = row["views"]["timeline"]
    for place, plan in enumerate(line["plan"]):
        if plan >= 0:
            left, right = panel.x(place), panel.x(place + 1)
            colour = _of_plan(plans.index(line["plans"][plan]))
            canvas.area([(left, top), (right, top), (right, top + BAR - 4), (left, top + BAR - 4)], colour)


def _stretches(line: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Bins with a value, cut where there is none."""
    found: list[list[tuple[int, float]]] = [[]]
    for place, value in enumerate(line):
        if value is None:
            found.append([])
        else:
            found[-1].append((place, value))
    return [one for one in found if len(one) > 1]
