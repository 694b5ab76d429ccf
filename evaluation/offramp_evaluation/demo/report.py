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
from offramp_evaluation.demo.script import Script
from offramp_evaluation.demo.tally import Outcome, Summary, by_phase, summarise

OVERALL = "overall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One contender's run, summed up."""

    contender: Contender
    phases: tuple[Summary, ...]
    overall: Summary


def standing(contender: Contender, outcomes: Sequence[Outcome], script: Script) -> Standing:
    phases = by_phase(outcomes, [script.phase_of(frame) for frame in range(script.frames)])
    return Standing(
        contender=contender,
        phases=tuple(summarise(phases[number]) for number in range(len(script.phases))),
        overall=summarise(outcomes),
    )


def final_report(standings: Sequence[Standing], script: Script, end: int, slowdown: float) -> RenderableType:
    """Everything that is left on the screen: the table, a line for each row of it, and what was emulated."""
    notes = [Text.assemble((f"{one.contender.name:>12}", "bold"), f"  {one.contender.about}") for one in standings]
    adaptive = [one.contender for one in standings if one.contender.adapts]
    plans = [
        Text(f"{'':>12}  {phase.name}: {plan}", style="dim")
        for contender in adaptive
        for phase, plan in zip(script.phases, contender.plans, strict=True)
    ]
    emulated = Text(
        f"Emulated: the link (a user-space shaper) and the board (every stage takes {slowdown:g} times as long as "
        "on this machine). All else is measured: real processes, real sockets, the same frames in every run.",
        style="italic",
    )
    return Group(_table(standings, script, end), Text(), *notes, *plans, Text(), emulated)


def _table(standings: Sequence[Standing], script: Script, end: int) -> Table:
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
            style = "bold" if one.contender.adapts else ""
            mean = Text(_ms(summary.mean), style="green" if summary.mean == fastest else "")
            table.add_row(
                Text(link if number == 0 else "", style="cyan"),
                one.contender.name,
                f"{100 * summary.accuracy:.1f}",
                mean,
                _ms(summary.p50),
                _ms(summary.p95),
                f"{summary.payload_bytes:,.0f}",
                f"{summary.wire_bytes:,.0f}",
                *(_share(summary, place) for place in places),
                style=style,
            )
        table.add_section()
    return table


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


def record(standings: Sequence[Standing], script: Script, conditions: Mapping[str, Any]) -> dict[str, Any]:
    """What `--json` writes: everything that the table shows, unrounded, and how it came about."""
    return {
        "conditions": dict(conditions),
        "phases": [{"name": phase.name, "link": str(phase.link)} for phase in script.phases],
        "runs": [
            {
                "name": one.contender.name,
                "about": one.contender.about,
                "plans": [str(plan) for plan in one.contender.plans],
                "phases": [_numbers(summary) for summary in one.phases],
                "overall": _numbers(one.overall),
            }
            for one in standings
        ],
    }


def _numbers(summary: Summary) -> dict[str, Any]:
    # JSON has no nan: where nothing was answered there is no latency.
    return {key: None if isinstance(value, float) and isnan(value) else value for key, value in asdict(summary).items()}
