"""What every command that takes scenario files takes with them; it imports nothing that `--help` would wait for."""

import argparse


def add_changes_flag(parser: argparse.ArgumentParser) -> None:
    """`--set`: read by `read_scenario`, as `args.changes`."""
    parser.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a key of the scenario; may be repeated",
    )
