"""A command of Offramp that knows plug-ins: what the processes of a live run are started by, where there are any.

python -m offramp_evaluation.road.launch MODULE … -- device --bundle …
"""

import sys
from collections.abc import Sequence
from importlib.metadata import entry_points

from offramp.cli import main
from offramp_evaluation.plugins import GROUP, load_plugins, loaded

APART = "--"


def command_line(arguments: Sequence[str]) -> list[str]:
    """What runs `offramp ARGUMENTS` in a process of its own, with the plug-ins that this one has."""
    modules = loaded()
    if modules or entry_points(group=GROUP):
        return [sys.executable, "-m", __name__, *modules, APART, *arguments]
    return [sys.executable, "-m", "offramp.cli", *arguments]


if __name__ == "__main__":
    place = sys.argv.index(APART)
    load_plugins(sys.argv[1:place])
    sys.exit(main(sys.argv[place + 1 :]))
