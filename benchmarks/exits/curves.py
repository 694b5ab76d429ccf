"""Accuracy over operations of every policy, along its path: a figure for each measure, as SVG.

right %                                           one line a policy, from strict (right) to lenient (left)
 92 ┤            ╭─────●   the whole network
 90 ┤      ╭─────╯
 88 ┤  ╭───╯
    └──┬─────┬─────┬────
      20    60   100  % of the operations
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.exits.contest import Subject, instance_policies, temporal_policies
from benchmarks.exits.tasks import Task
from offramp.exits.paths import path
from offramp.exits.tuning import Bench
from offramp_evaluation.traces.canvas import Point, SvgCanvas

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 420, 60, 240, 36, 44
_INK, _GRID = "#222222", "#dddddd"
# Okabe and Ito's colours, told apart by everybody; where they come round again, lines are thinner.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
_BELOW = 0.06
"""How far below the best a figure looks, unless nothing comes so low."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One rule on test samples."""

    operations: float
    """Mean, as a share of the network without exits."""
    measures: Mapping[str, float]


def curves_of(subject: Subject, task: Task, instances: Sequence[str] | None = None) -> dict[str, list[Spot]]:
    """By policy, every rule of its path that asks all branches: nothing is tuned here.

    `instances` are the instance policies that take part; None: all that there are.
    """
    bench = Bench(recorded=subject.test, charge=subject.charge)
    some = instance_policies(subject) if instances is None else instances
    policies = [*some, *(temporal_policies() if task.streams else [])]
    found: dict[str, list[Spot]] = {}
    for name in policies:
        found[name] = []
        for rule in path(name, subject.cuts):
            walked = bench.walk(rule)
            measures = task.measures(walked.label_N, subject.test.truth_N)
            found[name].append(Spot(operations=subject.charge.share(walked, rule.asked), measures=measures))
    return found


def draw(curves: Mapping[str, Sequence[Spot]], whole: Mapping[str, float], measure: str, title: str) -> bytes:
    """One measure of all policies as SVG; the same curves give the same bytes."""
    canvas = SvgCanvas(WIDTH, HEIGHT)
    highest = max(whole[measure], *(spot.measures[measure] for spots in curves.values() for spot in spots))
    lowest = max(highest - _BELOW, min(spot.measures[measure] for spots in curves.values() for spot in spots))

    def at(operations: float, value: float) -> Point:
        x = LEFT + (WIDTH - LEFT - RIGHT) * operations / _widest(curves)
        return x, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - lowest) / (highest - lowest or 1.0)

    _axes(canvas, at, lowest, highest, _widest(curves))
    canvas.text((LEFT, 20), title, _INK, bold=True)
    for place, (name, spots) in enumerate(curves.items()):
        colour, width = _COLOURS[place % len(_COLOURS)], 1.8 if place < len(_COLOURS) else 1.0
        line = [at(spot.operations, spot.measures[measure]) for spot in spots if spot.measures[measure] >= lowest]
        if len(line) > 1:
            canvas.line(line, colour, width)
        y = TOP + 18.0 * place
        canvas.line([(WIDTH - RIGHT + 16, y), (WIDTH - RIGHT + 40, y)], colour, width)
        canvas.text((WIDTH - RIGHT + 46, y + 4), name, _INK)
    x, y = at(1.0, whole[measure])
    canvas.area([(x - 4, y), (x, y - 4), (x + 4, y), (x, y + 4)], _INK)
    canvas.text((x - 8, y - 8), "the whole network", _INK, anchor="end")
    return canvas.to_bytes()


def _widest(curves: Mapping[str, Sequence[Spot]]) -> float:
    """The most operations: a little above 1, where branches are asked in vain."""
    return max(1.0, *(spot.operations for spots in curves.values() for spot in spots))


def _axes(canvas: SvgCanvas, at: Callable[[float, float], Point], lowest: float, highest: float, widest: float) -> None:
    for tick in range(0, 101, 20):
        x, y = at(tick / 100, lowest)
        canvas.line([(x, y), (x, TOP)], _GRID)
        canvas.text((x, y + 17), f"{tick}", _INK, anchor="middle")
    canvas.text((LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 8), "% of the operations", _INK, anchor="middle")
    for step in range(5):
        value = lowest + (highest - lowest) * step / 4
        x, y = at(0.0, value)
        canvas.line([(x, y), at(widest, value)], _GRID)
        canvas.text((x - 6, y + 4), f"{100 * value:.1f}", _INK, anchor="end")
