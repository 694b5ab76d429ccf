"""`offramp evaluate`: record what a network says once, then ask anything about it."""

import argparse
from typing import Protocol

from offramp_evaluation.live.command import LIVE
from offramp_evaluation.recording.candidates import CANDIDATES
from offramp_evaluation.recording.command import RECORD
from offramp_evaluation.replay.command import REPLAY
from offramp_evaluation.report.command import REPORT
from offramp_evaluation.report.compare_command import COMPARE
from offramp_evaluation.sweep.command import SWEEP


class _Verb(Protocol):
    summary: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


VERBS: dict[str, _Verb] = {
    "record": RECORD,
    "candidates": CANDIDATES,
    "replay": REPLAY,
    "live": LIVE,
    "sweep": SWEEP,
    "report": REPORT,
    "compare": COMPARE,
}
"""None of their modules imports anything heavy before it runs: `offramp --help` imports them too."""


class EvaluateCommand:
    summary = "record tapes of a bundle, replay plans and strategies over them, run them live, compare and report"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for name, verb in VERBS.items():
            own = verbs.add_parser(
                name,
                help=verb.summary,
                description=verb.summary,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            verb.configure(own)
            own.add_argument(
                "--plugin",
                action="append",
                default=[],
                metavar="MODULE",
                help="a module of yours that registers strategies, policies, codecs, formats or metrics",
            )

    def run(self, args: argparse.Namespace) -> int:
        from offramp_evaluation.plugins import load_plugins

        load_plugins(args.plugin)
        return VERBS[args.verb].run(args)


EVALUATE = EvaluateCommand()
