"""`offramp bundle VERB DIR`: look into a bundle, check it, and certify its exits."""

import argparse
from typing import Protocol

from offramp.inspect.calibration_command import CALIBRATION_COMMAND
from offramp.inspect.certify_command import CERTIFY
from offramp.inspect.exits_command import EXITS_COMMAND
from offramp.inspect.show_command import CUTS, SHOW
from offramp.inspect.verify_command import VERIFY


class _Verb(Protocol):
    summary: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


VERBS: dict[str, _Verb] = {
    "show": SHOW,
    "cuts": CUTS,
    "verify": VERIFY,
    "exits": EXITS_COMMAND,
    "calibration": CALIBRATION_COMMAND,
    "certify": CERTIFY,
}
"""None of their modules imports anything heavy before it runs: `offramp --help` imports them too."""


class BundleCommand:
    summary = "look into a bundle, verify it, or certify its exits"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for name, verb in VERBS.items():
            there = verbs.add_parser(
                name,
                help=verb.summary,
                description=verb.summary,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            there.add_argument("bundle", metavar="DIR", help="the folder that `offramp build` wrote, or `demo`")
            there.add_argument("--json", action="store_true", help="print JSON, for programs")
            verb.configure(there)

    def run(self, args: argparse.Namespace) -> int:
        return VERBS[args.verb].run(args)


BUNDLE = BundleCommand()
