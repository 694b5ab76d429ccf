"""`offramp evaluate report`: records as one page, and as figures and a table for papers."""

import argparse
import json
from pathlib import Path

from offramp.cli import DONE
from offramp.errors import SettingsError
from offramp.units import format_bytes

EPILOG = """\
examples:
  offramp evaluate report runs/lte --out lte.html
  offramp evaluate report runs/lte runs/wifi --out both.html --figures figures
  offramp evaluate replay --out runs/one && offramp evaluate report runs/one --out one.html

The page is one file that needs no network: send it, or keep it beside the records. --figures writes an SVG and a PNG of
each chart, and rows.csv with every row of every run."""


class ReportCommand:
    summary = "draw records as one interactive page, and as figures for papers"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = EPILOG
        parser.add_argument(
            "records",
            nargs="+",
            type=Path,
            metavar="RUNS",
            help="what sweeps, replays or live runs wrote: folders, or records",
        )
        parser.add_argument("--out", type=Path, metavar="FILE.html", help="write the page there")
        parser.add_argument("--figures", type=Path, metavar="DIR", help="write figures and rows.csv there")
        parser.add_argument("--title", help="of the page (default: the name of the scenario)")
        parser.add_argument("--json", action="store_true", help="print what was written as JSON")

    def run(self, args: argparse.Namespace) -> int:
        from dataclasses import replace

        from offramp_evaluation.report.figures import write_figures
        from offramp_evaluation.report.page import write_page
        from offramp_evaluation.report.records import read_records

        if args.out is None and args.figures is None:
            raise SettingsError("a report goes somewhere: give --out FILE.html, --figures DIR, or both")
        collection = read_records(args.records)
        if args.title:
            collection = replace(collection, title=args.title)
        told: dict[str, object] = {"runs": len(collection.found), "failed": collection.failed}
        if args.out is not None:
            told |= {"page": str(args.out), "bytes": write_page(collection, args.out)}
        if args.figures is not None:
            told["figures"] = [str(path) for path in write_figures(collection, args.figures)]
        print(json.dumps(told, ensure_ascii=False) if args.json else _describe(told))
        return DONE


def _describe(told: dict[str, object]) -> str:
    lines = [f"{told['runs']} run(s)" + f", {told['failed']} failed" * bool(told["failed"])]
    if "page" in told:
        lines.append(f"  {told['page']}, {format_bytes(float(str(told['bytes'])))}")
    if "figures" in told:
        lines += [f"  {path}" for path in told["figures"]]  # type: ignore[attr-defined]
    return "\n".join(lines)


REPORT = ReportCommand()
