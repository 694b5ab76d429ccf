"""`offramp trace show FILE…`: what a recorded link is like, in numbers and drawn."""

import argparse
import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from offramp.cli import DONE, WRONG_INPUT
from offramp.errors import DataError
from offramp.units import format_rate, format_seconds, parse_seconds

if TYPE_CHECKING:
    from offramp_evaluation.traces.trace import Trace

# What is heavy (numpy through the readers) is imported when it runs: `offramp --help` imports this module too.

EXAMPLES = """
formats:
  mahimahi  one integer a line: the millisecond at which 1500 bytes can be delivered
  pensieve  seconds<TAB>Mbit/s a line
  csv       a header with time_s and rate_mbps, and perhaps delay_ms, loss, up

examples:

  offramp trace show ATT-LTE-driving.up
  offramp trace show --plot links.svg traces/*
  offramp trace show --json --columns "time=Timestamp:ms,rate=DL_bitrate:kbit" drive.csv
"""

_UNITS = {"duration": "_s", "longest_outage": "_s", "delay": "_s"} | dict.fromkeys(
    ("mean", "median", "p5", "p95"), "_bps"
)
_ENDS = {"hold": "holds its last rate", "repeat": "starts again"}


class TraceCommand:
    """Shows traces: numbers and a drawing, or JSON; a file that cannot be read does not hide the others."""

    summary = "read bandwidth traces, describe and draw them"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        show = verbs.add_parser(
            "show",
            help="statistics and a drawing of trace files",
            description="Statistics and a drawing of trace files.",
            epilog=EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        show.add_argument("files", nargs="+", type=Path, metavar="FILE")
        show.add_argument(
            "--format", dest="kind", metavar="NAME", help="mahimahi, pensieve or csv (default: by content)"
        )
        show.add_argument(
            "--bin",
            type=parse_seconds,
            default=parse_seconds("100ms"),
            metavar="DURATION",
            help="into which the packets of a Mahimahi file are gathered (default: 100ms)",
        )
        show.add_argument("--columns", default="", metavar="MEANING=COLUMN[:UNIT],…", help="columns of a CSV file")
        show.add_argument("--json", action="store_true", help="one JSON document instead of drawings")
        show.add_argument("--plot", type=Path, metavar="FILE.svg|FILE.png", help="draw all of them into a figure")

    def run(self, args: argparse.Namespace) -> int:
        from offramp_evaluation.traces.csvfile import parse_columns
        from offramp_evaluation.traces.figure import write_figure
        from offramp_evaluation.traces.formats import Reading, read_trace

        reading = Reading(bin=args.bin, columns=parse_columns(args.columns))
        traces, unread = [], 0
        for path in args.files:
            try:
                traces.append(read_trace(path, kind=args.kind, reading=reading))
            except DataError as error:
                print(f"offramp: {error}", file=sys.stderr)
                unread += 1
        if args.json:
            print(json.dumps([_document(trace) for trace in traces], indent=1, ensure_ascii=False))
        else:
            for trace in traces:
                print(_portrait(trace), end="\n\n")
        if args.plot is not None and traces:
            write_figure(traces, args.plot)
            print(f"drew {len(traces)} trace(s) into {args.plot}", file=sys.stderr)
        return WRONG_INPUT if unread else DONE


TRACE = TraceCommand()


def _document(trace: "Trace") -> dict[str, object]:
    """Statistics whose names carry their units."""
    from offramp_evaluation.traces.statistics import describe

    numbers = dataclasses.asdict(describe(trace))
    return {"name": trace.name, **{name + _UNITS.get(name, ""): value for name, value in numbers.items()}}


def _portrait(trace: "Trace") -> str:
    from offramp_evaluation.traces.blocks import draw_blocks
    from offramp_evaluation.traces.statistics import describe

    numbers = describe(trace)
    width = max(20, min(shutil.get_terminal_size((100, 24)).columns, 120) - 18)
    lines = [
        f"{trace.name}: {format_seconds(numbers.duration)} in {numbers.pieces} pieces, then it {_ENDS[trace.after]}",
        f"  rate    mean {format_rate(numbers.mean)}, median {format_rate(numbers.median)}, "
        f"p5 {format_rate(numbers.p5)}, p95 {format_rate(numbers.p95)}, variation {numbers.variation:.2f}",
        f"  outage  {numbers.outage:.1%} of the time, the longest {format_seconds(numbers.longest_outage)}",
    ]
    if numbers.delay or numbers.loss:
        lines.append(f"  delay   {format_seconds(numbers.delay)} one way on average, loss {numbers.loss:.2%}")
    return "\n".join([*lines, draw_blocks(trace, width=width)])
