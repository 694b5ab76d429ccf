"""Figures for papers and a table of all rows: the same canvases that draw traces, no plotting library.

    pareto-latency  pareto-bytes  distribution  steps    .svg, and .png where Pillow is there; means over all runs
    timeline                                             of the first run
    rows.csv                                             every row of every run, times in seconds

# Q quantiles
"""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from offramp.errors import MissingExtraError
from offramp.units import format_seconds
from offramp_evaluation.replay.course import STEPS
from offramp_evaluation.report.records import Collection
from offramp_evaluation.report.scales import COLOURS, GRID, INK, log_ticks, short, square, ticks
from offramp_evaluation.report.timeline_figure import draw_timeline, height_of
from offramp_evaluation.sweep.rows import lines
from offramp_evaluation.traces.canvas import Canvas, PngCanvas, Point, SvgCanvas

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 250, 24, 46
STEP_COLOURS = ("#7f7f7f", "#0072b2", "#56b4e9", "#e69f00", "#cc79a7", "#009e73", "#f0d264", "#d55e00")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pooled:
    """A row over all runs that have it."""

    name: str
    deployable: bool
    accuracy: float
    latency: float
    nbytes: float
    steps: tuple[float, ...]
    quantiles: tuple[float, ...]
    """[Q] sorted, of all runs."""


def write_figures(collection: Collection, folder: Path) -> list[Path]:
    """Returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    pooled = list(_pool(collection))
    times, sizes = [1e3 * one.latency for one in pooled], [one.nbytes / 1e3 for one in pooled]
    first = collection.found[0]
    drawings: dict[str, tuple[int, Callable[[Canvas], None]]] = {
        "pareto-latency": (HEIGHT, lambda canvas: _pareto(canvas, pooled, times, "mean latency, ms")),
        "pareto-bytes": (HEIGHT, lambda canvas: _pareto(canvas, pooled, sizes, "kB per sample")),
        "distribution": (HEIGHT, lambda canvas: _distribution(canvas, pooled)),
        "steps": (HEIGHT, lambda canvas: _steps(canvas, pooled)),
        "timeline": (height_of(first), lambda canvas: draw_timeline(canvas, first)),
    }
    written = []
    for name, (height, draw) in drawings.items():
        for suffix, kind in ((".svg", SvgCanvas), (".png", PngCanvas)):
            try:
                canvas: Canvas = kind(WIDTH, height)
            except MissingExtraError:
                continue  # Pillow is not here; the SVG says the same
            draw(canvas)
            path = folder / f"{name}{suffix}"
            path.write_bytes(canvas.to_bytes())
            written.append(path)
    return [*written, _write_csv(collection, folder / "rows.csv")]


def _pool(collection: Collection) -> Iterator[_Pooled]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for one in collection.found:
        for row in one.record["rows"]:
            if row["summary"]["latency"]["mean"] is not None:
                rows.setdefault(row["name"], []).append(row)
    for name, found in rows.items():
        means = [[row["views"]["steps"][step] for step in STEPS] for row in found]
        yield _Pooled(
            name=name,
            deployable=found[0]["deployable"],
            accuracy=float(np.mean([row["summary"]["accuracy"] or 0.0 for row in found])),
            latency=float(np.mean([row["summary"]["latency"]["mean"] for row in found])),
            nbytes=float(np.mean([row["summary"]["wire_bytes"] for row in found])),
            steps=tuple(np.mean(means, axis=0).tolist()),
            quantiles=tuple(np.sort(np.concatenate([row["views"]["latency_quantiles"] for row in found])).tolist()),
        )


def _write_csv(collection: Collection, path: Path) -> Path:
    table = list(lines((one.name, one.record) for one in collection.found))
    keys = dict.fromkeys(key for line in table for key in line)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, keys)
        writer.writeheader()
        writer.writerows(table)
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axes:
    """From values to pixels."""

    x: tuple[float, float]
    y: tuple[float, float]
    log: bool = False

    def at(self, x: float, y: float) -> Point:
        low, high, value = (math.log(one) for one in (*self.x, x)) if self.log else (*self.x, x)
        across = LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)
        return across, HEIGHT - BOTTOM - (y - self.y[0]) / (self.y[1] - self.y[0]) * (HEIGHT - TOP - BOTTOM)

    def draw(self, canvas: Canvas, title: str, show: Callable[[float], str], label: str) -> None:
        for value in ticks(*self.y):
            left, height = self.at(self.x[0], value)
            canvas.line([(left, height), (WIDTH - RIGHT, height)], GRID)
            canvas.text((left - 8, height + 4), f"{100 * value:.4g}", INK, anchor="end")
        for value in log_ticks(*self.x) if self.log else ticks(*self.x):
            place, floor = self.at(value, self.y[0])
            canvas.line([(place, floor), (place, floor + 4)], INK)
            canvas.text((place, floor + 18), show(value), INK, anchor="middle")
        canvas.text(((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8), title, INK, anchor="middle")
        canvas.text((8, 14), label, INK)


def _pareto(canvas: Canvas, pooled: Sequence[_Pooled], costs: Sequence[float], title: str) -> None:
    accuracies = [one.accuracy for one in pooled]
    room, most = max((max(accuracies) - min(accuracies)) * 0.1, 0.005), max(*costs, 1e-6)
    axes = _Axes(x=(0.0, 1.05 * most), y=(max(0.0, min(accuracies) - room), min(1.0, max(accuracies) + room)))
    axes.draw(canvas, title, lambda value: f"{value:.3g}", "accuracy, %")
    best, stairs = -1.0, list[Point]()
    for cost, one in sorted(zip(costs, pooled, strict=True), key=lambda pair: (pair[0], -pair[1].accuracy)):
        if one.deployable and one.accuracy > best:
            stairs += [axes.at(cost, max(best, axes.y[0])), axes.at(cost, one.accuracy)]
            best = one.accuracy
    if stairs:
        canvas.line([*stairs, (float(WIDTH - RIGHT), stairs[-1][1])], "#999999")
    for place, (cost, one) in enumerate(zip(costs, pooled, strict=True)):
        canvas.area(_mark(axes.at(cost, one.accuracy), place), COLOURS[place % len(COLOURS)])
    _legend(canvas, [one.name for one in pooled], COLOURS)


def _distribution(canvas: Canvas, pooled: Sequence[_Pooled]) -> None:
    low = max(1e-5, min(one.quantiles[0] for one in pooled))
    axes = _Axes(x=(low, max(1.5 * low, *(one.quantiles[-1] for one in pooled))), y=(0.0, 1.0), log=True)
    axes.draw(canvas, "latency", format_seconds, "answered, %")
    for place, one in enumerate(pooled):
        shares = np.linspace(0, 1, len(one.quantiles)).tolist()
        points = [axes.at(max(low, value), share) for value, share in zip(one.quantiles, shares, strict=True)]
        canvas.line(points, COLOURS[place % len(COLOURS)], 1.5)
    _legend(canvas, [one.name for one in pooled], COLOURS)


def _steps(canvas: Canvas, pooled: Sequence[_Pooled]) -> None:
    left, right, high = 220, WIDTH - 90, min(26.0, (HEIGHT - TOP - BOTTOM) / max(1, len(pooled)))
    most = max(sum(one.steps) for one in pooled) or 1.0
    for place, one in enumerate(pooled):
        top, x = TOP + place * high, float(left)
        canvas.text((left - 8, top + high / 2 + 4), short(one.name), INK, anchor="end")
        for seconds, colour in zip(one.steps, STEP_COLOURS, strict=True):
            width = seconds / most * (right - left)
            if width > 0:
                canvas.area([(x, top), (x + width, top), (x + width, top + high - 4), (x, top + high - 4)], colour)
            x += width
        canvas.text((x + 6, top + high / 2 + 4), format_seconds(sum(one.steps)), INK)
    for place, (step, colour) in enumerate(zip(STEPS, STEP_COLOURS, strict=True)):
        x = 20 + place * (WIDTH - 40) / len(STEPS)
        canvas.area(square((x + 5, HEIGHT - 16)), colour)
        canvas.text((x + 15, HEIGHT - 12), step.replace("_", " "), INK)


def _legend(canvas: Canvas, names: Sequence[str], colours: Sequence[str]) -> None:
    for place, name in enumerate(names):
        y = TOP + 8 + place * 18
        canvas.area(_mark((WIDTH - RIGHT + 20, y), place), colours[place % len(colours)])
        canvas.text((WIDTH - RIGHT + 32, y + 4), short(name), INK)


def _mark(point: Point, place: int) -> list[Point]:
    """Of another shape where colours begin again."""
    x, y = point
    if place // len(COLOURS) % 2:
        return [(x, y - 7), (x + 7, y), (x, y + 7), (x - 7, y)]
    return square(point)
