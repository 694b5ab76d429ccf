"""`offramp evaluate replay`: every baseline and the planned device over one link, without running the network."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from offramp.clock import SystemClock
from offramp_evaluation.replay.flags import add_experiment_flags, bundle_of, experiment_of

EPILOG = """\
examples:
  offramp evaluate replay                                     the shipped demo over its stepping link
  offramp evaluate replay --link "2mbit,20ms" --slowdown 20   another link, a slower board
  offramp evaluate replay --bundle my-model --tape my.tape --trace lte.up --rate 5 --out runs/lte

Simulated: answers and bytes come from the tape, times from profiles, the link from the trace; the code that decides is
the deployed code. Record a tape with `offramp evaluate record`, a profile with `offramp profile`."""


class ReplayCommand:
    summary = "compare plans and strategies over a link, from a tape, on a simulated clock"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = EPILOG
        add_experiment_flags(parser)
        parser.add_argument("--classes", action="store_true", help="print the accuracy of each class too")
        parser.add_argument("--out", type=Path, metavar="DIR", help="write record.json and samples.parquet there")
        parser.add_argument("--json", action="store_true", help="print the record instead of a table")

    def run(self, args: argparse.Namespace) -> int:
        from offramp_evaluation.replay.record import encode_samples, run_metadata, write_record
        from offramp_evaluation.replay.table import class_table, rows_table

        clock, started = SystemClock(), datetime.now(UTC).isoformat(timespec="seconds")
        before = clock.now()
        experiment = experiment_of(args, bundle_of(args))
        rows = list(experiment.rows(lambda name: _tell(f"replaying: {name}")))
        record = experiment.record(rows)
        record["run"] = run_metadata(started, clock.now() - before)
        if args.out is not None:
            write_record(record, encode_samples(rows), args.out)
            _tell(f"wrote {args.out / 'record.json'} and {args.out / 'samples.parquet'}")
        if args.json:
            print(json.dumps(record, indent=1, ensure_ascii=False))
            return 0
        print(rows_table(rows, record, experiment))
        if args.classes:
            print(f"\n{class_table(record)}")
        return 0


def _tell(message: str) -> None:
    print(message, file=sys.stderr)


REPLAY = ReplayCommand()
