"""The final table, and the record beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from offramp.records import Answered
from offramp_evaluation.demo.contenders import Contender
from offramp_evaluation.demo.oracle import Foreseen
from offramp_evaluation.demo.progress import Change, Run
from offramp_evaluation.demo.script import Script
from offramp_evaluation.demo.tally import Outcome, Summary, by_phase, summarise
from offramp_evaluation.metrics.comparison import Comparison, Verdict, compare

OVERALL = "overall"
REPLAYED = "replayed"
BLOCK = 10
"""Neighbouring frames that count as one unit of a comparison: they share the link and the scene."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One contender's run, summed up."""

    contender: Contender
    outcomes: tuple[Outcome, ...]
    phases: tuple[Summary, ...]
    overall: Summary
    plans: tuple[tuple[Change, ...], ...]
    """By phase: the plans that the orchestrator put into force."""
    followed: tuple[float | None, ...]
    """By phase: seconds from its link's coming into force to the first of these; None where there was none."""


def standing(run: Run) -> Standing:
    script = run.script
    phases = by_phase(run.outcomes, [script.phase_of(frame) for frame in range(script.frames)])
    numbers = range(len(script.phases))
    plans = tuple(tuple(run.changes_in(number)) for number in numbers)
    return Standing(
        contender=run.contender,
        outcomes=tuple(sorted(run.outcomes, key=lambda one: one.index)),
        phases=tuple(summarise(phases[number]) for number in numbers),
        overall=summarise(run.outcomes),
        plans=plans,
        followed=tuple(
            float(there[0].at - number * script.seconds) if there else None
            for number, there in zip(numbers, plans, strict=True)
        ),
    )


def final_report(
    standings: Sequence[Standing], script: Script, end: int, slowdown: float, foreseen: Foreseen | None = None
) -> RenderableType:
    """Everything that is left on the screen: the table, a line for each row of it, and what was emulated."""
    notes = [Text.assemble((f"{one.contender.name:>12}", "bold"), f"  {one.contender.about}") for one in standings]
    if foreseen is not None:
        notes.append(Text.assemble((f"{'oracle':>12}", "bold"), f"  {foreseen.about}"))
    emulated = Text(
        f"Emulated: the link (a user-space shaper) and the board (every stage takes {slowdown:g} times as long as "
        "on this machine). All else is measured: real processes, real sockets, the same frames in every run"
        + ("; but the oracle's row is SIMULATED." if foreseen is not None else "."),
        style="italic",
    )
    orders = [Text(line, style="dim") for one in standings for line in _orders(one, script)]
    verdicts = [Text(line) for line in _verdicts(standings)]
    return Group(_table(standings, script, end, foreseen), Text(), *notes, *orders, *verdicts, Text(), emulated)


def comparisons(standings: Sequence[Standing]) -> dict[str, Comparison]:
    """By name: the planned run's latency minus that of each other run, frame by frame; empty without a planned run.

    What was rejected counts at its latency, which is the deadline's.
    """
    planned = next((one for one in standings if one.contender.adapts), None)
    if planned is None:
        return {}
    units = [outcome.index // BLOCK for outcome in planned.outcomes]
    own = [float(outcome.latency) for outcome in planned.outcomes]
    return {
        one.contender.name: compare(own, [float(outcome.latency) for outcome in one.outcomes], units, better="lower")
        for one in standings
        if one is not planned
    }


def _verdicts(standings: Sequence[Standing]) -> Iterator[str]:
    words = {Verdict.FIRST: "faster", Verdict.SECOND: "slower", Verdict.UNDECIDED: "no difference shown"}
    for name, one in comparisons(standings).items():
        low, high = 1e3 * one.interval.low, 1e3 * one.interval.high
        yield (
            f"{'':>12}  against {name}, frame by frame: {1e3 * one.difference:+.1f} ms, "
            f"95 % interval {low:+.1f} to {high:+.1f}: {words[one.verdict]}"
        )


def _orders(one: Standing, script: Script) -> Iterator[str]:
    for phase, changes, followed in zip(script.phases, one.plans, one.followed, strict=True):
        if changes and followed is not None:
            yield f"{'':>12}  {phase.name}: after {followed:.1f} s {changes[0].plan}"
            for change in changes[1:]:
                yield f"{'':>12}  {'':{len(phase.name)}}  then {change.plan}"


def _table(standings: Sequence[Standing], script: Script, end: int, foreseen: Foreseen | None) -> Table:
    title = f"The same {script.frames} frames in every run, {script.rate:g} a second"
    table = Table(title=title, title_justify="left", box=box.HORIZONTALS, padding=0)
    table.add_column("link", no_wrap=True)
    table.add_column("run", no_wrap=True)
    places = _places(standings, end)
    heads = ["right\n%", "mean\nms", "p50\nms", "p95\nms", "payload\nbytes", "wire\nbytes"]
    for head in [*heads, *(f"{head}\n%" for head in places.values())]:
        table.add_column(head, justify="right", no_wrap=True)
    for link, summaries in _groups(standings, script):
        fastest = min((one.mean for one in summaries if not isnan(one.mean)), default=None)
        for number, (one, summary) in enumerate(zip(standings, summaries, strict=True)):
            mean = Text(_ms(summary.mean), style="green" if summary.mean == fastest else "")
            cells = _cells(summary, mean, places)
            style = "bold" if one.contender.adapts else ""
            table.add_row(Text(link if number == 0 else "", style="cyan"), one.contender.name, *cells, style=style)
        table.add_section()
    if foreseen is not None:
        cells = _cells(foreseen.summary, Text(_ms(foreseen.summary.mean)), places)
        table.add_row(Text(REPLAYED, style="cyan"), "oracle", *cells, style="italic")
    return table


def _cells(summary: Summary, mean: Text, places: Mapping[str, str]) -> list[RenderableType]:
    return [
        f"{100 * summary.accuracy:.1f}",
        mean,
        _ms(summary.p50),
        _ms(summary.p95),
        f"{summary.payload_bytes:,.0f}",
        f"{summary.wire_bytes:,.0f}",
        *(_share(summary, place) for place in places),
    ]


def _groups(standings: Sequence[Standing], script: Script) -> Iterator[tuple[str, list[Summary]]]:
    for number, phase in enumerate(script.phases):
        yield phase.name, [one.phases[number] for one in standings]
    yield OVERALL, [one.overall for one in standings]


def _places(standings: Sequence[Standing], end: int) -> dict[str, str]:
    """Column heads by place: branches in order, the end of the network on the device, the edge, and what failed."""
    seen = {place for one in standings for place in one.overall.shares if place.startswith("@")}
    local = sorted(seen, key=lambda place: int(place[1:]))
    heads = {place: "whole" if place == f"@{end}" else place for place in local}
    return heads | {Answered.EDGE: "edge", Answered.DEGRADED: "degr.", Answered.REJECTED: "rej."}


def _share(summary: Summary, place: str) -> str:
    share = summary.shares.get(place, 0.0)
    return f"{100 * share:.0f}" if share else "·"


def _ms(seconds: float) -> str:
    if isnan(seconds):
        return "–"
    return f"{1e3 * seconds:.1f}" if seconds < 0.1 else f"{1e3 * seconds:,.0f}"


def record(
    standings: Sequence[Standing], script: Script, conditions: Mapping[str, Any], foreseen: Foreseen | None = None
) -> dict[str, Any]:
    """What `--json` writes: everything that the table shows, unrounded, and how it came about."""
    return {
        "conditions": dict(conditions),
        "phases": [{"name": phase.name, "link": str(phase.link)} for phase in script.phases],
        "runs": [
            {
                "name": one.contender.name,
                "about": one.contender.about,
                "plan": None if one.contender.plan is None else str(one.contender.plan),
                "orders": [[asdict(change) for change in changes] for changes in one.plans],
                "followed": list(one.followed),
                "phases": [_numbers(summary) for summary in one.phases],
                "overall": _numbers(one.overall),
            }
            for one in standings
        ],
        "comparisons": {
            name: {
                "difference": one.difference,
                "low": _finite(one.interval.low),
                "high": _finite(one.interval.high),
                "verdict": str(one.verdict),
            }
            for name, one in comparisons(standings).items()
        },
        "replayed": None
        if foreseen is None
        else {"simulated": True, "oracle": _numbers(foreseen.summary), "about": foreseen.about},
    }


def _numbers(summary: Summary) -> dict[str, Any]:
    # JSON has no nan: where nothing was answered there is no latency.
    return {key: _finite(value) if isinstance(value, float) else value for key, value in asdict(summary).items()}


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
