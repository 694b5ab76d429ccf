"""`offramp quantise`: give a bundle that was built before a head in int8."""

import argparse
import importlib.util
import json
import shutil
import sys
from pathlib import Path

from offramp.cli import DONE
from offramp.errors import BundleError, MissingExtraError

EPILOG = """\
examples:
  offramp quantise --bundle my-model --data cifar10:PATH --out my-model-int8
  offramp quantise --bundle my-model --data folder:pictures

Without --out, the bundle itself gets the head. Either way its model digest is a new one, for its files are others: give
it to devices and edges alike. Plans with head=int8 run it; `offramp build --int8` makes it at once."""


class QuantiseCommand:
    summary = "give a bundle a head in int8, which devices run faster"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = EPILOG
        parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="what `offramp build` wrote")
        parser.add_argument("--data", required=True, metavar="KIND:PATH", help="what the bundle was built from")
        parser.add_argument("--limit", type=int, metavar="N", help="the build's, for bundles that do not say it")
        parser.add_argument("--out", type=Path, metavar="DIR", help="write another bundle (default: into the same)")
        parser.add_argument("--json", action="store_true", help="print what was found as JSON, and no progress")

    def run(self, args: argparse.Namespace) -> int:
        if importlib.util.find_spec("onnx") is None:
            raise MissingExtraError("onnx", "builder", "offramp quantise")
        from offramp.bundle.jsonform import to_json
        from offramp.bundle.shipped import find_bundle
        from offramp.bundle.store import open_bundle
        from offramp.inspect.heads_page import heads_page
        from offramp.measure.calibration import calibration_part
        from offramp_builder.int8.attachments import attached_anew
        from offramp_builder.int8.head import attach_int8
        from offramp_builder.progress import Screen

        bundle = open_bundle(find_bundle(args.bundle))
        part = calibration_part(bundle.manifest, args.data, limit=args.limit)
        if args.out is not None:
            if args.out.exists():
                raise BundleError(f"{args.out} is there already; give a new folder, or leave --out out")
            shutil.copytree(bundle.path, args.out)
            bundle = open_bundle(args.out)
        with Screen(quiet=args.json) as screen:
            quantised = attached_anew(bundle, attach_int8(bundle, part, screen.progress), part, screen.progress)
        if args.json:
            print(json.dumps({"bundle": str(quantised.path), "heads": to_json(quantised.manifest.heads)}))
        else:
            print(heads_page(quantised.manifest))
            print(f"\n{quantised.path}: model {quantised.manifest.model_digest[:12]}", file=sys.stderr)
        return DONE


QUANTISE = QuantiseCommand()
