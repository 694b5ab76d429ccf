"""Calls a sub-command as `offramp` would, without a process."""

import argparse

import pytest

from offramp.cli import Command
from offramp.errors import OfframpError


def called(command: Command, *flags: str) -> int:
    """Its exit code."""
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.run(parser.parse_args(flags))


def refused(command: Command, *flags: str) -> str:
    """What it says about flags that it does not accept."""
    with pytest.raises(OfframpError) as caught:
        called(command, *flags)
    return str(caught.value)
