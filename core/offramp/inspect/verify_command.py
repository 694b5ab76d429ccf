"""`offramp bundle verify DIR`: check after check, as they are done."""

import argparse
import json
from dataclasses import asdict

from offramp.bundle.shipped import find_bundle
from offramp.cli import DONE, FAILED


class VerifyCommand:
    summary = "digests, segments, and the answers at every split against those of the original network"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        pass

    def run(self, args: argparse.Namespace) -> int:
        from offramp.inspect.verify import verify

        checks = []
        for check in verify(find_bundle(args.bundle)):
            checks.append(check)
            if not args.json:
                number = "" if check.difference is None else f"  (differs by {check.difference:.1e})"
                problem = f": {check.problem}" if check.problem else ""
                print(f"{'ok    ' if check.passed else 'FAILED'}  {check.what}{number}{problem}", flush=True)
        failed = sum(not check.passed for check in checks)
        if args.json:
            print(json.dumps({"passed": not failed, "checks": [asdict(check) for check in checks]}, indent=1))
        else:
            print(f"{failed} of {len(checks)} checks failed" if failed else f"{len(checks)} checks passed")
        return FAILED if failed else DONE


VERIFY = VerifyCommand()
