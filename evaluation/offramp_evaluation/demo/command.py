"""`offramp demo`: the whole road on one machine, over a link that gets worse, breaks and comes back."""

import argparse
import signal
from pathlib import Path
from typing import NoReturn

from offramp.cli import DONE
from offramp.errors import InputError

LIMITS = {"seconds": (0.5, 600.0), "rate": (0.5, 100.0), "slowdown": (1.0, 10_000.0), "drop": (0.0, 1.0)}


class Demo:
    summary = "Watch a device and an edge share a network over a thin link, in five ways."

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = (
            "Starts an orchestrator, an edge, a shaped link and a device as processes of this machine and runs the\n"
            "same frames five times: all on the device, all at the edge, split without exits, by the best plan that\n"
            "stays, and by the plans that the orchestrator keeps choosing. The link and the slowness of the board are\n"
            "emulated; all else is measured, but for one row: what a planner could have done that knows the link in\n"
            "advance is replayed, and labelled so. Nothing is downloaded."
        )
        parser.add_argument("--seconds", type=float, default=6.0, help="length of each of the five phases (default: 6)")
        parser.add_argument("--rate", type=float, default=10.0, help="frames per second (default: 10)")
        parser.add_argument(
            "--slowdown",
            type=float,
            metavar="FACTOR",
            help="how many times slower the board is; default: the whole network keeps it busy half the time",
        )
        parser.add_argument(
            "--drop", type=float, default=0.01, help="loss of accuracy that a plan may cost (default: 0.01)"
        )
        parser.add_argument("--seed", type=int, default=1, help="another seed, other frames (default: 1)")
        parser.add_argument(
            "--bundle", type=Path, metavar="DIR", help="another bundle of camera-digits than the shipped"
        )
        parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there, too")
        parser.add_argument("--plain", action="store_true", help="no live table; so it is where there is no terminal")

    def run(self, args: argparse.Namespace) -> int:
        # Here and not at the top: `offramp --help` imports this module, too.
        from offramp_evaluation.demo.show import show

        for name, (low, high) in LIMITS.items():
            value = getattr(args, name)
            if value is not None and not low <= value <= high:
                raise InputError(f"--{name} {value:g} makes no demo; give {low:g} to {high:g}")
        # Told to end, it ends as with Ctrl-C: its children go with it.
        signal.signal(signal.SIGTERM, _interrupt)
        show(args)
        return DONE


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


DEMO = Demo()
