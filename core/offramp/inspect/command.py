"""`offramp bundle show|cuts|verify DIR`: look into a bundle, and check it."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from offramp.bundle.shipped import find_bundle
from offramp.bundle.store import open_bundle
from offramp.cli import DONE, FAILED

_DESCRIPTION = """what can be done:
  show DIR     what it is: sample, labels, accuracy, cuts and branches
  cuts DIR     every cut that the network has, kept or not
  verify DIR   digests, segments, and the answers at every split against those of the original network
"""


class BundleCommand:
    summary = "look into a bundle, or verify it"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = _DESCRIPTION
        parser.add_argument("action", choices=("show", "cuts", "verify"), metavar="show|cuts|verify")
        parser.add_argument("bundle", type=Path, metavar="DIR", help="the folder that `offramp build` wrote")
        parser.add_argument("--json", action="store_true", help="print JSON, for programs")

    def run(self, args: argparse.Namespace) -> int:
        if args.action == "verify":
            return _verify(find_bundle(args.bundle), as_json=args.json)
        from offramp.inspect.show import cuts_page, cuts_record, show_page, show_record

        bundle = open_bundle(find_bundle(args.bundle))
        page, record = (show_page, show_record) if args.action == "show" else (cuts_page, cuts_record)
        print(json.dumps(record(bundle), indent=1, ensure_ascii=False) if args.json else page(bundle))
        return DONE


def _verify(path: Path, *, as_json: bool) -> int:
    from offramp.inspect.verify import verify

    checks = []
    for check in verify(path):
        checks.append(check)
        if not as_json:
            number = "" if check.difference is None else f"  (differs by {check.difference:.1e})"
            problem = f": {check.problem}" if check.problem else ""
            print(f"{'ok    ' if check.passed else 'FAILED'}  {check.what}{number}{problem}", flush=True)
    failed = sum(not check.passed for check in checks)
    if as_json:
        print(json.dumps({"passed": not failed, "checks": [asdict(check) for check in checks]}, indent=1))
    else:
        print(f"{failed} of {len(checks)} checks failed" if failed else f"{len(checks)} checks passed")
    return FAILED if failed else DONE


BUNDLE = BundleCommand()
