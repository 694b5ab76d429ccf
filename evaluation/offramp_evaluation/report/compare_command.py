"""`offramp evaluate compare`: is one record better than another, or is that chance?"""

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offramp.cli import DONE
from offramp.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from offramp_evaluation.report.comparing import Compared

EPILOG = """\
examples:
  offramp evaluate compare runs/before runs/after
  offramp evaluate compare runs/lte runs/lte --row search --against "best static plan"

Runs are paired by what they were made from, samples by stream and index. Differences are A minus B; one of the two is
called better only where the interval leaves out 0. Times of rejected samples count at the deadline."""


class CompareCommand:
    summary = "compare two records, or two sweeps, sample by sample"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = EPILOG
        parser.add_argument("first", type=Path, metavar="A", help="a record, or a folder with records")
        parser.add_argument("second", type=Path, metavar="B", help="the one it is compared with")
        parser.add_argument("--row", metavar="NAME", help="of A (default: every row that both have)")
        parser.add_argument("--against", metavar="NAME", help="of B (default: the one of --row)")
        parser.add_argument("--json", action="store_true", help="print the comparisons as JSON")

    def run(self, args: argparse.Namespace) -> int:
        from offramp_evaluation.report.comparing import compare_records
        from offramp_evaluation.report.records import read_records

        first, second = read_records([args.first]), read_records([args.second])
        found = compare_records(first, second, row=args.row, against=args.against)
        print(json.dumps([_document(one) for one in found], indent=1) if args.json else _table(found))
        return DONE


def _table(found: "list[Compared]") -> str:
    from offramp.inspect.table import format_table

    lines = []
    for one in found:
        show = _SHOWN[one.metric]
        low, high = one.comparison.interval.low, one.comparison.interval.high
        known = math.isfinite(low) and math.isfinite(high)
        between = f"{show(low)} to {show(high)}" if known else "too few samples"
        name = one.row if one.row == one.against else f"{one.row} / {one.against}"
        verdict = _VERDICTS[one.comparison.verdict.value]
        difference = show(one.comparison.difference)
        lines.append((name, one.metric, show(one.first), show(one.second), difference, between, verdict))
    interval, runs, samples = found[0].comparison.interval, found[0].runs, found[0].samples
    note = (
        f"{runs} pair(s) of runs, {samples:,} samples of each row; intervals hold together with 95 % "
        f"({100 * interval.confidence:.4g} % each, over {interval.units} blocks of neighbours)"
    )
    headers = ("row", "metric", "A", "B", "A - B", "interval", "better")
    return f"{format_table(headers, lines, right=(2, 3, 4))}\n\n{note}"


def _document(one: "Compared") -> dict[str, Any]:
    interval = one.comparison.interval
    low, high = (value if math.isfinite(value) else None for value in (interval.low, interval.high))
    return {
        "row": one.row,
        "against": one.against,
        "metric": one.metric,
        "first": one.first,
        "second": one.second,
        "difference": one.comparison.difference,
        "interval": {"low": low, "high": high, "confidence": interval.confidence, "units": interval.units},
        "verdict": one.comparison.verdict.value,
        "runs": one.runs,
        "samples": one.samples,
    }


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


_SHOWN = {"accuracy": _percent, "mean latency": format_seconds, "p95 latency": format_seconds, "bytes": format_bytes}
_VERDICTS = {"first": "A", "second": "B", "undecided": "no difference shown"}

COMPARE = CompareCommand()
