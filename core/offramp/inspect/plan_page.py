"""What `offramp plan` shows: the plan, the runners-up, why, where the milliseconds go, and why this codec.

# C candidates
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from offramp.inspect.codec_page import codec_page, codec_records
from offramp.inspect.table import format_pairs, format_table
from offramp.plan import Plan
from offramp.planning.candidates import Candidate, input_format
from offramp.planning.codec_costs import codec_costs
from offramp.planning.forecast import Forecast
from offramp.planning.ranking import Ranking
from offramp.planning.situation import Situation
from offramp.planning.strategies.strategy import Choice, Grounds
from offramp.units import format_bytes, format_rate, format_seconds

BAR = 48
"""Characters of the longest bar."""
LETTERS = {
    "device_wait": "w", "device": "d", "encode": "e", "uplink_wait": "u", "transmit": "t",
    "round_trip": "r", "edge_wait": "q", "decode": "c", "tail": "T",
}  # fmt: skip
"""Of the parts of a latency, in bars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """The best plan of another kind, and what is expected of it."""

    plan: Plan
    forecast: Forecast
    holds: bool
    """Whether it holds the whole objective."""


def runners_up(grounds: Grounds, situation: Situation, chosen: Plan, most: int) -> list[Runner]:
    """The best of each kind, best first: another split, another input format, with exits or without."""
    model, objective = grounds.model, grounds.objective
    ranking = Ranking(model, objective)
    kinds = [_kind(item) for item in model.candidates]
    found = []
    for kind in dict.fromkeys(kinds):
        best = ranking.best(situation, np.array([one == kind for one in kinds], dtype=np.bool_))
        plan = model.candidates[best.place].plan()
        if plan != chosen:
            forecast = model.forecast(best.place, situation, objective.deadline)
            runner = Runner(plan=plan, forecast=forecast, holds=not best.given_up)
            found.append(((not runner.holds, best.score), runner))
    found.sort(key=lambda pair: pair[0])
    return [runner for _, runner in found[:most]]


def _kind(item: Candidate) -> tuple[int, str, bool]:
    return item.split, input_format(item.codec) if item.split == 0 else "", bool(item.exit.thresholds)


def plan_page(
    grounds: Grounds, situation: Situation, strategy: str, choice: Choice, runners: Sequence[Runner], hosts: str
) -> str:
    """For people."""
    head = format_pairs(
        [
            ("plan", str(choice.plan)),
            ("why", choice.why),
            ("strategy", strategy),
            ("objective", str(grounds.objective)),
            ("situation", _situation(situation)),
            ("hosts", hosts),
        ]
    )
    if choice.forecast is None:
        return f"{head}\n\nThis plan is none of the bundle's candidates, so nothing is known about it."
    rows = [Runner(plan=choice.plan, forecast=choice.forecast, holds=True), *runners]
    marks = ["→", *(" " if runner.holds else "✗" for runner in runners)]
    worth = format_table(
        ["", "plan", "mean", "p95", "in time", "loss ≤", "sent", "edge", "energy"],
        [[mark, str(row.plan), *_worth(row.forecast)] for mark, row in zip(marks, rows, strict=True)],
        right=range(2, 9),
    )
    refused = "\n✗ does not hold the objective" if "✗" in marks else ""
    unit = "" if grounds.energy is None else f"\nenergy is {grounds.energy.label}"
    codecs = codec_page(choice.plan, codec_costs(grounds.model, situation, choice.plan))
    parts = [head, f"{worth}{refused}{unit}", _milliseconds(marks, rows), codecs]
    return "\n\n".join(filter(None, parts))


def plan_record(
    grounds: Grounds, situation: Situation, strategy: str, choice: Choice, runners: Sequence[Runner], hosts: str
) -> dict[str, Any]:
    """For programs; in SI units."""
    return {
        "plan": str(choice.plan),
        "why": choice.why,
        "strategy": strategy,
        "objective": str(grounds.objective),
        "situation": asdict(situation),
        "hosts": hosts,
        "energy": None if grounds.energy is None else grounds.energy.label,
        "forecast": None if choice.forecast is None else asdict(choice.forecast),
        "codecs": codec_records(codec_costs(grounds.model, situation, choice.plan)),
        "runners_up": [
            {"plan": str(runner.plan), "holds": runner.holds, "forecast": asdict(runner.forecast)} for runner in runners
        ],
    }


def _situation(now: Situation) -> str:
    arrivals = "in step" if now.regular else "at random"
    return (
        f"{format_rate(now.bandwidth)}, round trip {format_seconds(now.round_trip)}, "
        f"{now.rate:g} samples a second {arrivals}"
    )


def _worth(forecast: Forecast) -> list[str]:
    energy = "" if forecast.energy is None else f"{forecast.energy:.3g} J"
    numbers = [format_seconds(forecast.mean), format_seconds(forecast.p95), f"{100 * forecast.hits:.0f} %"]
    if not forecast.feasible:
        numbers = ["never ends", "", ""]
    return [
        *numbers,
        f"{100 * forecast.loss_high:.2f} %",
        format_bytes(forecast.wire_bytes),
        format_seconds(forecast.edge_seconds),
        energy,
    ]


def _milliseconds(marks: Sequence[str], rows: Sequence[Runner]) -> str:
    """Parts as columns, where anything has such a part; and as a bar."""
    parts = [row.forecast.parts.named() for row in rows]
    names = [name for name in parts[0] if any(one[name] > 0 for one in parts)]
    table = format_table(
        ["ms of an average sample", *(f"{name.replace('_', ' ')} ({LETTERS[name]})" for name in names), "sum"],
        [
            [f"{mark} {_short(row.plan)}", *(_ms(one[name]) for name in names), _ms(sum(one.values()))]
            for mark, row, one in zip(marks, rows, parts, strict=True)
        ],
        right=range(1, len(names) + 2),
    )
    longest = max(sum(one.values()) for one in parts) or 1.0
    width = max(len(_short(row.plan)) for row in rows)
    bars = "\n".join(
        f"{mark} {_short(row.plan):{width}}  {_bar(one, longest)}"
        for mark, row, one in zip(marks, rows, parts, strict=True)
    )
    return f"{table}\n\n{bars}"


def _bar(parts: dict[str, float], longest: float) -> str:
    """Rounded where parts end, so that bars of equal sums are equally long."""
    bar, passed = "", 0.0
    for name, seconds in parts.items():
        passed += seconds
        bar += LETTERS[name] * (round(BAR * passed / longest) - len(bar))
    return bar


def _short(plan: Plan) -> str:
    return f"split {plan.split}{', exits' * bool(plan.exit.thresholds)}, {plan.codec}"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f}" if seconds else "·"
