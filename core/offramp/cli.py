"""The command `offramp`: sub-commands that each role registers, and what they have in common.

Exit codes: 0 done, 1 it failed, 2 the input was wrong, 130 interrupted.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from offramp import __version__
from offramp.errors import InputError, OfframpError
from offramp.registry import unknown

GROUP = "offramp.commands"
DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


class Command(Protocol):
    """A sub-command. Its module is imported for `offramp --help` too, so it imports nothing heavy at the top."""

    summary: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it; returns the exit code. An OfframpError is printed by the caller."""
        ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `offramp …`; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Only the chosen command's module is imported: a board starts in a fraction of a second.
    if given and given[0] in (own := _own_commands()):
        return _run(given[0], own[given[0]], given[1:])
    commands = _all_commands()
    if given and given[0] in commands:
        return _run(given[0], commands[given[0]], given[1:])
    if given and not given[0].startswith("-"):
        return _complain(InputError(unknown("command", given[0], sorted(commands))))
    parser = argparse.ArgumentParser(
        prog="offramp",
        description="One neural network on two machines: early exits on the device, the rest at the edge.",
        formatter_class=_Page,
    )
    parser.add_argument("--version", action="version", version=f"offramp {__version__}")
    table = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in sorted(commands):
        table.add_parser(name, help=_load(commands[name]).summary)
    parser.parse_args(given)
    parser.print_help()
    return DONE


class _Page(argparse.HelpFormatter):
    """Leaves room for the indent of a command's name, which argparse forgets: the longest would have its own line."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        self._action_max_length += 2


def _run(name: str, target: str, arguments: list[str]) -> int:
    try:
        command = _load(target)
        parser = argparse.ArgumentParser(
            prog=f"offramp {name}",
            description=command.summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.configure(parser)
        return command.run(parser.parse_args(arguments))
    except OfframpError as error:
        return _complain(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our standard output left (`| head`); say nothing more to it, at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _own_commands() -> dict[str, str]:
    """`module:object` of each command of this distribution; empty where its metadata lie elsewhere than usual.

    Read by hand, because importlib.metadata brings a parser for e-mail with it: 75 ms and 5.5 MB of a board's 100.
    """
    for folder in sys.path:
        path = Path(folder or ".", f"offramp-{__version__}.dist-info", "entry_points.txt")
        if path.is_file():
            _, _, section = path.read_text(encoding="utf-8").partition(f"[{GROUP}]\n")
            lines = section.partition("\n[")[0].splitlines()
            return {
                name.strip(): target.strip()
                for name, equals, target in (line.partition("=") for line in lines)
                if equals
            }
    return {}


def _all_commands() -> dict[str, str]:
    """The same for every distribution that registers some."""
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in entry_points(group=GROUP)}


def _load(target: str) -> Command:
    module, _, name = target.partition(":")
    command: Command = getattr(importlib.import_module(module), name)
    return command


def _complain(error: OfframpError) -> int:
    print(f"offramp: {error}", file=sys.stderr)
    return WRONG_INPUT if isinstance(error, InputError) else FAILED


if __name__ == "__main__":
    sys.exit(main())
