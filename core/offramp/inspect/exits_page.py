"""The table of exits as text: every place with a drawing of its accuracy, then the sets that were compared."""

from offramp.bundle.exits import ExitPoint, ExitTable
from offramp.inspect.show import format_share
from offramp.inspect.table import format_table
from offramp.units import format_seconds

_WIDTH = 24
"""Columns of the drawing."""
_EIGHTHS = " ▏▎▍▌▋▊▉"


def exits_page(table: ExitTable, name: str, plan: str) -> str:
    """One screen for a network of some twenty places."""
    chosen = table.chosen
    expected = chosen.mean if table.expected is None else table.expected
    saved = 1 - expected / table.full_seconds
    title = (
        f"{name}: {len(table.points)} places for a {table.kind} branch; whole network {_percent(table.full_accuracy)}, "
        f"{format_seconds(table.full_seconds)} a sample\n"
        f"thresholds of {table.policy} may cost {100 * table.drop:g} points on {table.samples:,} calibration samples; "
        f"seconds at batch 1 on {table.host}"
    )
    verdict = (
        f"chosen: {', '.join(chosen.points)}, {format_seconds(expected)} a sample expected, "
        + (f"{_percent(saved)} less than without" if saved > 0 else "no less than without: it spares the uplink alone")
        + f"\nplan:   {plan}"
        if chosen.points
        else "chosen: none; nobody can leave within the budget"
    )
    return "\n\n".join([title, _points(table), _legend(table), _sets(table), verdict])


def _points(table: ExitTable) -> str:
    accuracies = [table.full_accuracy, *(point.accuracy for point in table.points)]
    lowest, highest = min(accuracies), max(accuracies)
    rows = [
        (
            "▶" if point.name in table.chosen.points else "",
            point.name if point.split else f"{point.name} *",
            format_share(point.macs, table.macs),
            _percent(point.accuracy),
            _bar(point.accuracy - lowest, highest - lowest),
            _percent(point.leaves),
            "-" if point.threshold is None else f"{point.threshold:.3f}",
            format_seconds(point.trunk),
            format_seconds(point.branch),
            format_seconds(point.added),
            _saved(point, table),
        )
        for point in table.points
    ]
    headers = ("", "place", "done", "right", "", "leave", "at", "way there", "branch", "asking", "saves")
    return format_table(headers, rows, right=(2, 3, 5, 6, 7, 8, 9, 10))


def _legend(table: ExitTable) -> str:
    inside = "; * inside a block" if any(not point.split for point in table.points) else ""
    return (
        "right: of the branch alone, drawn from the worst to the best; leave, at, saves: as the only exit, within the\n"
        f"budget; asking: what who stays pays for having been asked{inside}"
    )


def _sets(table: ExitTable) -> str:
    rows = [
        (
            one.name,
            ", ".join(
                f"{point} {_percent(share)}" if share else point
                for point, share in zip(one.points, one.leaves, strict=True)
            )
            or "-",
            _percent(one.accuracy),
            format_seconds(one.mean),
            _percent(1 - one.mean / table.full_seconds),
        )
        for one in table.sets
    ]
    return format_table(("set", "exits, and who leaves there", "right", "mean", "saves"), rows, right=(2, 3, 4))


def _saved(point: ExitPoint, table: ExitTable) -> str:
    return _percent(1 - point.mean / table.full_seconds)


def _bar(value: float, whole: float) -> str:
    eighths = round(8 * _WIDTH * min(max(value / whole, 0.0), 1.0)) if whole > 0 else 0
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
