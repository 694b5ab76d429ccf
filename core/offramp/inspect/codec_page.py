"""What `offramp plan` says about the codec: what a request takes with it, and with the others that could be sent."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from offramp.inspect.table import format_table
from offramp.plan import Plan
from offramp.planning.codec_costs import CodecCost
from offramp.units import format_bytes, format_seconds

MOST = 6
"""Rows: the plan's own codec, and the quickest of the others."""


def codec_page(plan: Plan, costs: Sequence[CodecCost]) -> str:
    """For people; empty where nothing is sent, or nothing else could be."""
    shown = _shown(plan, costs)
    if len(shown) < 2 or shown[0].transmit == float("inf"):
        return ""
    rows = [
        [
            "→" if cost.codec == plan.codec else "",
            cost.codec,
            format_seconds(cost.head),
            format_seconds(cost.encode),
            format_bytes(cost.wire_bytes),
            format_seconds(cost.transmit),
            format_seconds(cost.decode),
            format_seconds(cost.tail),
            format_seconds(cost.total),
            f"{100 * cost.loss_high:.2f} %",
        ]
        for cost in shown
    ]
    headers = ["", "codec", "head", "encode", "sent", "link", "decode", "tail", "sum", "loss ≤"]
    return f"{_why(plan, costs)}\n\n{format_table(headers, rows, right=range(2, 10))}"


def codec_records(costs: Sequence[CodecCost]) -> list[dict[str, Any]]:
    """For programs; in SI units. Over a link that is not there it takes None."""
    records = [{**asdict(cost), "total": cost.total} for cost in costs]
    return [{name: None if value == float("inf") else value for name, value in one.items()} for one in records]


def _shown(plan: Plan, costs: Sequence[CodecCost]) -> list[CodecCost]:
    others = [cost for cost in costs if cost.codec != plan.codec][: MOST - 1]
    return sorted((cost for cost in costs if cost.codec == plan.codec or cost in others), key=lambda cost: cost.total)


def _why(plan: Plan, costs: Sequence[CodecCost]) -> str:
    own = next((cost for cost in costs if cost.codec == plan.codec), None)
    others = [cost for cost in costs if cost.codec != plan.codec]
    if own is None or not others:
        return f"what a request takes at split {plan.split}, from the last decision on"
    best = others[0]
    difference = format_seconds(abs(best.total - own.total))
    if best.total >= own.total:
        found = f"{best.codec}, the next, takes {difference} more"
    else:
        loses = f"may lose {100 * best.loss_high:.2f} % and not {100 * own.loss_high:.2f} %"
        found = f"{best.codec} would take {difference} less, but {loses}"
    return f"why {plan.codec}, by what a request takes at split {plan.split} from the last decision on: {found}"
