"""`offramp bundle exits DIR`: what exits are worth at every place of a network, and which of them the bundle has."""

import argparse
import json
from pathlib import Path

from offramp.bundle.shipped import find_bundle
from offramp.bundle.store import open_bundle
from offramp.cli import DONE


class ExitsCommand:
    summary = "what exits are worth at every place, and which were chosen (built with --branches search)"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it as a picture, too: an .svg file")

    def run(self, args: argparse.Namespace) -> int:
        from offramp.bundle.exits import exit_rule_text, read_exits
        from offramp.bundle.jsonform import to_json
        from offramp.inspect.exits_page import exits_page
        from offramp.inspect.exits_plot import write_plot

        bundle = open_bundle(find_bundle(args.bundle))
        table = read_exits(bundle)
        plan = exit_rule_text(table, [cut.name for cut in bundle.manifest.cuts])
        if args.plot is not None:
            write_plot(table, bundle.manifest.name, args.plot)
        if args.json:
            print(json.dumps({"name": bundle.manifest.name, "plan": plan} | to_json(table), indent=1))
        else:
            print(exits_page(table, bundle.manifest.name, plan))
        return DONE


EXITS_COMMAND = ExitsCommand()
