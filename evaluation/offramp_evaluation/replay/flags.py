"""An experiment by flags: what `offramp evaluate replay` and `live` take in the place of a scenario file."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from offramp.errors import SettingsError, TapeError
from offramp.units import parse_seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from offramp.bundle.store import Bundle
    from offramp.measure.energy import EnergyModel
    from offramp.measure.profile import Profile
    from offramp_evaluation.replay.experiment import Experiment
    from offramp_evaluation.traces.trace import Trace

DEMO = "demo"
DEMO_LINK = "20s:20mbit,10ms; 20s:2mbit,20ms; 20s:0.5mbit,30ms; 20s:outage; 20mbit,10ms"
DEMO_SLOWDOWN = 50.0
SAMPLES = 800
FEWEST = 2
"""Arrivals that tell a rate."""


def add_experiment_flags(parser: argparse.ArgumentParser, what_is_it: str = "what is replayed") -> None:
    """The groups of flags that `experiment_of` reads."""
    from offramp.measure.energy import RADIOS
    from offramp_evaluation.replay.contest import BASELINES, STRATEGIES

    what = parser.add_argument_group(what_is_it)
    what.add_argument("--bundle", default=DEMO, metavar="DIR", help="a bundle, or `demo` (default)")
    what.add_argument("--tape", type=Path, metavar="FILE", help="its tape (default for demo: the shipped one)")
    what.add_argument("--subset", default="test", help="which samples of the tape (default: test)")
    what.add_argument("--device-profile", type=Path, metavar="FILE", help="of the board (default: measured now)")
    what.add_argument("--edge-profile", type=Path, metavar="FILE", help="of the edge (default: measured now)")
    what.add_argument(
        "--slowdown",
        type=float,
        metavar="FACTOR",
        help=f"emulate a board FACTOR times slower than its profile (default: 1; {DEMO_SLOWDOWN:g} for demo)",
    )
    link = parser.add_argument_group("the link").add_mutually_exclusive_group()
    link.add_argument("--trace", type=Path, metavar="FILE", help="Mahimahi, Pensieve or CSV")
    link.add_argument("--link", metavar="SPEC", help=f"such as 2mbit,20ms, or steps (default: {DEMO_LINK})")
    parser.add_argument("--delay", default="20ms", help="one-way delay of a trace that has none (default: 20ms)")
    load = parser.add_argument_group("the load")
    load.add_argument("--rate", type=float, default=8.0, help="samples per second and device (default: 8)")
    load.add_argument(
        "--samples", type=int, help=f"of each device (default: {SAMPLES}, or as many as --arrivals holds)"
    )
    load.add_argument("--devices", type=int, default=1, help="that share the edge (default: 1)")
    load.add_argument("--shared-link", action="store_true", help="they share the link too")
    when = load.add_mutually_exclusive_group()
    when.add_argument("--poisson", action="store_true", help="random arrivals instead of a steady rate")
    when.add_argument(
        "--arrivals",
        type=Path,
        metavar="FILE",
        help="recorded arrivals instead of a rate: seconds, one a line, or a CSV with a column time_s or time_ms",
    )
    load.add_argument("--deadline", default="1s", help="of each sample, from its arrival (default: 1s)")
    load.add_argument("--drop", type=float, default=0.005, help="acceptable loss of accuracy (default: 0.005)")
    load.add_argument(
        "--strategies",
        metavar="NAMES",
        help=f"of the catalogue, separated by ; or by , (default: {', '.join(STRATEGIES)})",
    )
    load.add_argument(
        "--baselines",
        metavar="NAMES",
        help=f"that stand beside them, separated by commas, or none (default: {', '.join(BASELINES)})",
    )
    load.add_argument("--seed", type=int, default=0, help="of samples and arrivals (default: 0)")
    energy = parser.add_argument_group("energy, modelled")
    energy.add_argument("--power", type=float, metavar="W", help="the board draws while it computes, above idle")
    energy.add_argument("--radio", choices=sorted(RADIOS), help="of the board (default: none, a wired one)")


def bundle_of(args: argparse.Namespace) -> "Bundle":
    """
    Raises:
        BundleError: It cannot be opened.
    """
    from offramp.bundle.store import open_bundle
    from offramp_evaluation.assets import DEMO_BUNDLE

    return open_bundle(DEMO_BUNDLE if args.bundle == DEMO else args.bundle)


def experiment_of(args: argparse.Namespace, bundle: "Bundle") -> "Experiment":
    """What the flags say, over their bundle.

    Raises:
        OfframpError: A flag is wrong, or a file that it names.
    """
    from offramp.planning.candidates import read_candidates
    from offramp.tape.reader import open_tape
    from offramp_evaluation.assets import DEMO_PROFILE, DEMO_TAPE
    from offramp_evaluation.replay.arrivals import read_arrivals
    from offramp_evaluation.replay.experiment import Experiment

    recorded = None if args.arrivals is None else read_arrivals(args.arrivals)
    samples, rate = _load(args, recorded)
    demo = args.bundle == DEMO
    tape = args.tape or (DEMO_TAPE if demo else None)
    if tape is None:
        raise TapeError(f"--bundle {args.bundle} needs its --tape; record one with `offramp evaluate record`")
    # The demo's profile ships with it, so that its record is the same everywhere.
    shipped = DEMO_PROFILE if demo else None
    device = _profile(args.device_profile or shipped, bundle)
    edge = _profile(args.edge_profile or shipped, bundle) if args.edge_profile or shipped else device
    slowdown = args.slowdown or (DEMO_SLOWDOWN if demo else 1.0)
    if slowdown != 1.0:
        device = device.slowed(slowdown)
    up, down = _traces(args)
    opened = open_tape(tape)
    return Experiment(
        manifest=bundle.manifest,
        candidates=read_candidates(bundle).of_head(opened.header.head),
        tape=opened,
        device=device,
        edge=edge,
        up=up,
        down=down,
        rate=rate,
        samples=samples,
        devices=args.devices,
        shared_link=args.shared_link,
        poisson=args.poisson,
        arrivals=recorded,
        strategies=_strategies(args.strategies),
        baselines=_baselines(args.baselines),
        energy=_energy(args),
        deadline=parse_seconds(args.deadline),
        drop=args.drop,
        subset=args.subset,
        seed=args.seed,
    )


def _load(args: argparse.Namespace, recorded: "NDArray[np.float64] | None") -> tuple[int, float]:
    """(samples of each device, samples per second)."""
    if (args.samples is not None and args.samples < 1) or args.devices < 1 or not args.rate > 0:
        asked = SAMPLES if args.samples is None else args.samples
        raise SettingsError(f"--samples {asked}, --devices {args.devices}, --rate {args.rate:g}: all above 0")
    if recorded is None:
        return args.samples or SAMPLES, args.rate
    samples: int = args.samples or len(recorded)
    if samples > len(recorded):
        raise SettingsError(
            f"--samples {samples} are more than the {len(recorded)} arrivals of {args.arrivals}; ask for fewer, or "
            "leave --samples out"
        )
    last = float(recorded[samples - 1])
    if samples < FEWEST or last <= 0:
        raise SettingsError(
            f"{args.arrivals} has {samples} arrivals within {last:g} s, which tell no rate; record at least {FEWEST}, "
            "not all at one moment"
        )
    return samples, (samples - 1) / last


def _strategies(names: str | None) -> tuple[str, ...]:
    """Plans that stand after `fixed:` hold commas: a list with such a one is separated by semicolons."""
    from offramp_evaluation.replay.contest import STRATEGIES

    if names is None:
        return STRATEGIES
    apart = ";" if ";" in names or "fixed:" in names else ","
    found = tuple(filter(None, (name.strip() for name in names.split(apart))))
    if not found:
        raise SettingsError(f"--strategies {names!r} names none; give at least one, such as search")
    return found


def _baselines(names: str | None) -> tuple[str, ...]:
    from offramp.registry import unknown
    from offramp_evaluation.replay.contest import BASELINES

    if names is None:
        return BASELINES
    found = tuple(name.strip() for name in names.split(",")) if names != "none" else ()
    for name in found:
        if name not in BASELINES:
            raise SettingsError(unknown("baseline", name, [*BASELINES, "none"]))
    return found


def _energy(args: argparse.Namespace) -> "EnergyModel | None":
    from offramp.measure.energy import RADIOS, EnergyModel

    if args.power is None:
        if args.radio is not None:
            raise SettingsError(f"--radio {args.radio} alone makes no energy; give the board's power too, --power 3.5")
        return None
    if not 0 <= args.power < float("inf"):
        raise SettingsError(f"--power {args.power:g} W is no power; give what the board draws while it computes")
    return EnergyModel(compute_w=args.power, radio=RADIOS[args.radio or "none"])


def _profile(path: Path | None, bundle: "Bundle") -> "Profile":
    from offramp.measure.here import profile_here
    from offramp.measure.profile import read_profile

    if path is None:
        _tell("no profile given: timing the bundle on this machine")
        return profile_here(bundle)
    profile = read_profile(path)
    if profile.model_digest != bundle.manifest.model_digest:
        raise SettingsError(f"{path} is of another model than the bundle; time it again with `offramp profile`")
    return profile


def _traces(args: argparse.Namespace) -> "tuple[Trace, Trace]":
    from offramp_evaluation.shaper.link import parse_schedule
    from offramp_evaluation.traces.formats import read_trace
    from offramp_evaluation.traces.steps import from_schedule

    if args.trace is None:
        spec = args.link or DEMO_LINK
        return from_schedule(spec, parse_schedule(spec))
    trace = read_trace(args.trace)
    trace = trace if trace.delay_T.any() else trace.delayed(parse_seconds(args.delay))
    return trace, trace


def _tell(message: str) -> None:
    print(message, file=sys.stderr)
