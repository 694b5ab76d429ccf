"""Traces drawn as a figure: one panel under the other, rate over time, outages shaded.

name                                  mean 4.56 Mbit/s · out 7.2 %
10 ┤   ╭──╮        ▒▒▒▒
 5 ┤╭──╯  ╰──╮     ▒▒▒▒
 0 ┼─────────┴─────────────
   0        50         100 s
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from offramp.errors import DataError
from offramp.units import Seconds, format_rate
from offramp_evaluation.traces.canvas import Canvas, PngCanvas, Point, SvgCanvas
from offramp_evaluation.traces.operations import resample
from offramp_evaluation.traces.statistics import describe
from offramp_evaluation.traces.trace import Trace

WIDTH, PANEL = 860, 190
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 30, 30
MAX_POINTS = 780
"""One piece a pixel: a trace with more is averaged over pixels, and the panel says so."""

MAX_NAME = 48
"""Letters of a name that fit beside the caption."""

_INK, _GRID, _RATE, _OUT = "#222222", "#dddddd", "#1f6fb4", "#f3d0cc"

_CANVASES: dict[str, Callable[[int, int], Canvas]] = {".svg": SvgCanvas, ".png": PngCanvas}


def write_figure(traces: Sequence[Trace], path: Path) -> None:
    """Draw the traces into an SVG or PNG file, as its name ends.

    Raises:
        DataError: The name ends in neither, or the file cannot be written.
    """
    kind = _CANVASES.get(path.suffix.lower())
    if kind is None:
        raise DataError(f"{path} ends in neither .svg nor .png; name the figure so that it does")
    canvas = kind(WIDTH, PANEL * len(traces))
    for index, trace in enumerate(traces):
        draw_panel(canvas, trace, top=index * PANEL)
    try:
        path.write_bytes(canvas.to_bytes())
    except OSError as error:
        raise DataError(f"the figure {path} cannot be written: {error.strerror or error}") from error


def draw_panel(canvas: Canvas, trace: Trace, *, top: float) -> None:
    """One trace in its own axes, `PANEL` pixels high."""
    drawn = resample(trace, Seconds(trace.duration / MAX_POINTS)) if len(trace) > MAX_POINTS else trace
    rate_ticks, unit, size = _rate_ticks(float(drawn.rate_T.max()))
    highest = rate_ticks[-1] * size
    floor = top + PANEL - BOTTOM

    def at(time: float, rate: float) -> Point:
        x = LEFT + (WIDTH - LEFT - RIGHT) * time / trace.duration
        return x, floor - (PANEL - TOP - BOTTOM) * rate / highest

    for start, stop in _outages(drawn):
        canvas.area([at(start, 0), at(start, highest), at(stop, highest), at(stop, 0)], _OUT)
    for tick in rate_ticks:
        x, y = at(0, tick * size)
        canvas.line([(x, y), (WIDTH - RIGHT, y)], _GRID)
        canvas.text((x - 6, y + 4), f"{tick:g}", _INK, anchor="end")
    for tick in nice_ticks(trace.duration, 8):
        x, y = at(tick, 0)
        canvas.line([(x, y), (x, y + 4)], _INK)
        canvas.text((x, y + 17), f"{tick:g}", _INK, anchor="middle")
    canvas.line([at(0, 0), at(trace.duration, 0)], _INK)
    steps = [
        at(time, rate)
        for start, stop, rate in zip(
            drawn.edges[:-1].tolist(), drawn.edges[1:].tolist(), drawn.rate_T.tolist(), strict=True
        )
        for time in (start, stop)
    ]
    canvas.line(steps, _RATE, 1.2)
    name = trace.name if len(trace.name) <= MAX_NAME else trace.name[: MAX_NAME - 1] + "…"
    canvas.text((8, top + 18), name, _INK, bold=True)
    canvas.text((WIDTH - RIGHT, top + 18), _caption(trace, drawn, unit), _INK, anchor="end")


def nice_ticks(highest: float, most: int) -> list[float]:
    """Round numbers from 0 to `highest` or a little below it, at most `most` of them beside 0."""
    rough = highest / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return [round(index * step, 12) for index in range(int(highest / step * (1 + 1e-9)) + 1)]


def _rate_ticks(peak: float) -> tuple[list[float], str, float]:
    """Ticks from 0 to the peak or a little above it, their unit, and the unit in bits per second."""
    unit, size = next(
        (item for item in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)) if peak >= item[1]), ("bit/s", 1.0)
    )
    shown = peak / size if peak > 0 else 1.0
    ticks = nice_ticks(shown, 4)
    if ticks[-1] < shown:
        ticks.append(ticks[-1] + ticks[1])
    return ticks, unit, size


def _outages(trace: Trace) -> list[tuple[float, float]]:
    """(start, stop) of each run of pieces in which nothing arrives."""
    change = np.flatnonzero(np.diff(np.concatenate([[True], trace.up, [True]]).astype(int)))
    edges = trace.edges
    return [(float(edges[first]), float(edges[last])) for first, last in zip(change[::2], change[1::2], strict=True)]


def _caption(trace: Trace, drawn: Trace, unit: str) -> str:
    numbers = describe(trace)
    averaged = "" if drawn is trace else f" · mean over {drawn.duration / len(drawn):.2g} s"
    return f"{unit} over seconds{averaged} · mean {format_rate(numbers.mean)} · out {numbers.outage:.1%} of the time"
