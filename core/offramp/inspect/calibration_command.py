"""`offramp bundle calibration DIR`: whether the confidences of a bundle's exits mean what they say."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from offramp.bundle.shipped import find_bundle
from offramp.cli import DONE
from offramp.inspect.evidence_flags import add_evidence, evidence_from

EPILOG = """\
examples:
  offramp bundle calibration my-model --data cifar10:PATH
  offramp bundle calibration my-model --tape my.tape --subset test --figure reliability.svg

The expected calibration error is how far accuracy and confidence lie apart, on average: over 15 bins of equal width,
and over 15 bins of equally many samples. `raw` is what the logits say, `calibrated` what exit policies read. Of the
calibration part, only the half is asked that temperatures were not fitted to."""


class CalibrationCommand:
    summary = "how far the confidences of its exits are from what comes true, with a diagram"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = EPILOG
        add_evidence(parser)
        parser.add_argument("--figure", type=Path, metavar="FILE", help="write the diagrams here, as SVG")

    def run(self, args: argparse.Namespace) -> int:
        from offramp.bundle.store import open_bundle
        from offramp.data.held_out import held_out
        from offramp.inspect.reliability_figure import reliability_figure
        from offramp.inspect.reliability_page import exits_of, reliability_page
        from offramp.measure.calibration import CALIBRATION, looked_at

        bundle = open_bundle(find_bundle(args.bundle))
        evidence = evidence_from(args, bundle)
        if evidence.origin.subset == CALIBRATION:
            evidence = evidence.take(held_out(evidence.group_N))
        exits = exits_of(evidence, bundle.manifest)
        if args.figure is not None:
            args.figure.write_text(reliability_figure(exits), encoding="utf-8")
        if args.json:
            print(json.dumps({"samples": len(evidence), "exits": [asdict(one) for one in exits]}, indent=1))
        else:
            print(reliability_page(exits, len(evidence), looked_at(bundle.manifest, evidence.origin)))
        return DONE


CALIBRATION_COMMAND = CalibrationCommand()
