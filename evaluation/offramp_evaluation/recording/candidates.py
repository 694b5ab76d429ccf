"""`offramp evaluate candidates`: judge plans by a calibration tape, and write them into the bundle."""

import argparse
import json
from collections import Counter
from pathlib import Path

from offramp.cli import DONE

EPILOG = """\
examples:
  offramp evaluate record --bundle my-model --data cifar10:PATH --subset calibration --out calibration.tape
  offramp evaluate candidates --bundle my-model --tape calibration.tape

A build judges plans by some of its calibration samples; a tape holds all of them, and codecs of your choice. The
bundle's model digest stays what it was: devices and edges that run it need not care."""


class CandidatesCommand:
    summary = "judge plans by a calibration tape, and write them into the bundle"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = EPILOG
        parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="whose candidates are replaced")
        parser.add_argument("--tape", type=Path, required=True, metavar="FILE", help="recorded of this bundle")
        parser.add_argument(
            "--head-tape",
            type=Path,
            action="append",
            default=[],
            metavar="FILE",
            help="recorded of the same samples with another head (record --head); once for each",
        )
        parser.add_argument(
            "--subset", default="calibration", help="of the tape (default: calibration; the test split only reports)"
        )
        parser.add_argument("--json", action="store_true", help="print a summary as JSON")

    def run(self, args: argparse.Namespace) -> int:
        from offramp.bundle.store import open_bundle
        from offramp.planning.attach import attach_from_tape
        from offramp.tape.reader import open_tape

        bundle = open_bundle(args.bundle)
        heads = [open_tape(path) for path in args.head_tape]
        found = attach_from_tape(bundle, open_tape(args.tape), args.subset, heads)
        policies = Counter(one.exit.policy for one in found.candidates)
        if args.json:
            summary = {
                "candidates": len(found.candidates),
                "samples": found.samples,
                "groups": found.groups,
                "full_accuracy": found.full_accuracy,
                "policies": dict(policies),
            }
            print(json.dumps(summary))
        else:
            print(
                f"{len(found.candidates):,} plans worth considering, judged by {found.samples:,} samples in "
                f"{found.groups:,} independent groups; the whole network is right on {found.full_accuracy:.1%}\n"
                f"  by exit policy: {', '.join(f'{name} {count}' for name, count in policies.most_common())}"
            )
        return DONE


CANDIDATES = CandidatesCommand()
