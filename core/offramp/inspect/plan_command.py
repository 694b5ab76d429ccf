"""`offramp plan`: which plan a strategy takes in a situation, why, and where the milliseconds go."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from offramp.clock import SystemClock
from offramp.errors import SettingsError
from offramp.units import parse_rate, parse_seconds

if TYPE_CHECKING:
    from offramp.bundle.store import Bundle
    from offramp.measure.energy import EnergyModel
    from offramp.measure.profile import Profile

RUNNERS_UP = 5

EPILOG = """\
examples:
  offramp plan --bundle my-model --bandwidth 2mbit --rtt 20ms
  offramp plan --bundle demo --bandwidth 500kbit --rtt 40ms --rate 10 --slowdown 20
  offramp plan --bundle my-model --bandwidth 8mbit --rtt 20ms --device-profile board.json --edge-profile server.json \\
      --objective "minimise=p95, drop=0.5%, deadline=200ms" --json
  offramp plan --bundle my-model --bandwidth 2mbit --rtt 20ms --objective minimise=energy --power 3.5 --radio lte

The plan is the least of what the objective minimises, among the candidates that hold the rest of it. Its parts, all
optional: minimise=latency|p95|energy|bytes|edge, drop=1% (accuracy lost against the whole network), accuracy=92%,
deadline=1s, hits=95% (answered within the deadline), energy=0.2j and bytes=2kb (of an average sample).

Runners-up are the best of each other kind: another split, another way to send the input, with exits or without.

Profiles are what `offramp profile --out` writes, one on the board and one on the edge. Without them both are measured
here, now: half a minute, in which the machine should do nothing else."""


class PlanCommand:
    summary = "choose a plan for a link, and show why and where the milliseconds go"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = EPILOG
        parser.add_argument("--bundle", required=True, metavar="DIR", help="what `offramp build` wrote, or `demo`")
        situation = parser.add_argument_group("situation")
        situation.add_argument("--bandwidth", required=True, help="of the uplink, such as 2mbit; 0bit in an outage")
        situation.add_argument("--rtt", required=True, help="round trip without the edge's work, such as 20ms")
        situation.add_argument("--rate", type=float, default=1.0, metavar="N", help="samples a second (default: 1)")
        situation.add_argument("--poisson", action="store_true", help="they come at random, not in step as a camera's")
        hosts = parser.add_argument_group("hosts")
        hosts.add_argument("--device-profile", type=Path, metavar="FILE", help="of the board (default: measured here)")
        hosts.add_argument("--edge-profile", type=Path, metavar="FILE", help="of the edge (default: measured here)")
        hosts.add_argument(
            "--slowdown",
            type=float,
            default=1.0,
            metavar="FACTOR",
            help="plan for an emulated board on which the network takes FACTOR times as long (default: 1, none)",
        )
        hosts.add_argument("--power", type=float, metavar="W", help="the board draws while it computes, above idle")
        hosts.add_argument(
            "--radio", default="none", metavar="NAME", help="lte, 3g, wifi or none (default), with --power"
        )
        choice = parser.add_argument_group("choice")
        choice.add_argument("--objective", default="", metavar="TEXT", help="see below (default: latency, drop=1%%)")
        choice.add_argument(
            "--strategy",
            default="search",
            metavar="NAME",
            help="search (default), all-device, all-edge:jpeg, fixed:PLAN, … : docs/planning.md has all",
        )
        parser.add_argument("--json", action="store_true", help="print JSON, in SI units, for programs")

    def run(self, args: argparse.Namespace) -> int:
        from offramp.bundle.shipped import find_bundle
        from offramp.bundle.store import open_bundle
        from offramp.inspect.plan_page import plan_page, plan_record, runners_up
        from offramp.planning.candidates import read_candidates
        from offramp.planning.objective import parse_objective
        from offramp.planning.situation import Situation
        from offramp.planning.strategies.catalog import open_strategy
        from offramp.planning.strategies.strategy import Grounds

        # All that may be wrong is read before anything is measured.
        objective, energy = parse_objective(args.objective), _energy(args)
        situation = Situation(
            bandwidth=parse_rate(args.bandwidth),
            round_trip=parse_seconds(args.rtt),
            rate=args.rate,
            regular=not args.poisson,
        )
        if args.slowdown < 1:
            raise SettingsError(f"--slowdown {args.slowdown:g} would make a faster board; give a factor of at least 1")
        bundle = open_bundle(find_bundle(args.bundle))
        candidates = read_candidates(bundle)
        device, edge, hosts = _profiles(args, bundle)
        grounds = Grounds(
            manifest=bundle.manifest,
            candidates=candidates,
            device=device,
            edge=edge,
            clock=SystemClock(),
            objective=objective,
            energy=energy,
        )
        choice = open_strategy(args.strategy, grounds).choose(situation)
        shown = (
            grounds,
            situation,
            args.strategy,
            choice,
            runners_up(grounds, situation, choice.plan, RUNNERS_UP),
            hosts,
        )
        print(json.dumps(plan_record(*shown), indent=1, ensure_ascii=False) if args.json else plan_page(*shown))
        return 0


def _energy(args: argparse.Namespace) -> "EnergyModel | None":
    from offramp.measure.energy import RADIOS, EnergyModel

    radio = RADIOS[args.radio]
    if args.power is None:
        return None
    if not args.power >= 0:
        raise SettingsError(f"--power {args.power:g} is no power; a board draws 0 W or more while it computes")
    return EnergyModel(compute_w=args.power, radio=radio)


def _profiles(args: argparse.Namespace, bundle: "Bundle") -> "tuple[Profile, Profile, str]":
    """Of device and edge, and what to say about them."""
    from offramp.measure.here import profile_here

    if args.device_profile is None or args.edge_profile is None:
        print("measuring this machine, for want of a profile …", file=sys.stderr, flush=True)
    device = None if args.device_profile is None else _read(args.device_profile, bundle)
    if device is None:
        device = profile_here(bundle, slowdown=args.slowdown)
    elif args.slowdown > 1:
        device = device.slowed(args.slowdown)
    if args.edge_profile is not None:
        edge = _read(args.edge_profile, bundle)
    elif args.device_profile is None and args.slowdown == 1:
        edge = device
    else:
        edge = profile_here(bundle)
    said = [
        f"{name}: {profile.host} ({'measured here, now' if path is None else path})"
        for name, profile, path in (("device", device, args.device_profile), ("edge", edge, args.edge_profile))
    ]
    return device, edge, "; ".join(said)


def _read(path: Path, bundle: "Bundle") -> "Profile":
    from offramp.measure.profile import read_profile

    profile = read_profile(path)
    if profile.model_digest != bundle.manifest.model_digest:
        raise SettingsError(f"{path} is of another model than the bundle; time it again with `offramp profile`")
    return profile


PLAN = PlanCommand()
