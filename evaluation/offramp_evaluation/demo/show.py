"""The demo, told on one screen: measure this machine, choose the plans that stay, run, compare, look back."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console

from offramp import __version__
from offramp.bundle.store import Bundle, open_bundle
from offramp.clock import Clock, SystemClock
from offramp.data.camera import camera_frames
from offramp.data.dataset import Part
from offramp.errors import InputError
from offramp.measure.profile import Profile, measure_profile, write_profile
from offramp.planning.candidates import Candidates, read_candidates
from offramp.planning.objective import Objective
from offramp.planning.strategies.strategy import Grounds
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.runtime.threads import configure_threads
from offramp.units import Seconds
from offramp_evaluation.demo.contenders import Chooser
from offramp_evaluation.demo.oracle import foresee
from offramp_evaluation.demo.report import final_report, record
from offramp_evaluation.demo.run import run_all
from offramp_evaluation.demo.screen import LiveScreen, PlainScreen, Screen
from offramp_evaluation.demo.script import Script
from offramp_evaluation.road.road import Board, Road

SHIPPED = "assets/demo"
WIDTH = 100
"""Columns: what a narrow terminal and a README both show."""
FRAMES = 8
"""Frames on which the costs are measured."""

BUSY = 0.5
"""Share of the time between two frames that the whole network takes on the emulated board: it keeps up, with room for
shadow samples."""
STRATEGY = "steady:search"
THREADS = 1
"""Of a model call, at both ends: two roles share what may be two cores."""


def show(args: argparse.Namespace) -> None:
    """Run the whole demo with the flags of `offramp demo`.

    Raises:
        OfframpError: The bundle is not usable, a child ended in the middle, or the record cannot be written.
    """
    clock = SystemClock()
    script = Script(seconds=Seconds(args.seconds), rate=args.rate)
    bundle = open_bundle(args.bundle or shipped_bundle())
    console = _console()
    if args.json is not None and not args.json.parent.is_dir():
        raise InputError(f"the record cannot be written to {args.json}: its folder does not exist; create it first")

    with _screen(console, bundle, plain=args.plain) as screen, TemporaryDirectory(prefix="offramp-demo-") as folder:
        screen.say("measuring what every stage, branch and codec costs on this machine …")
        candidates = read_candidates(bundle)
        profile = _measure(bundle, candidates, clock)
        slowdown = args.slowdown or _slowdown(profile, script)
        grounds = Grounds(
            manifest=bundle.manifest,
            candidates=candidates,
            device=profile.slowed(slowdown),
            edge=profile,
            clock=clock,
            objective=Objective(drop=args.drop),
        )
        contenders = Chooser(candidates, grounds.model, script, grounds.objective).contenders()
        with Road(_board(grounds, bundle, Path(folder)), script.phases[0].link, clock) as road:
            standings = run_all(road, contenders, script, f"camera-digits:{args.seed}", screen, clock)
        screen.say("replaying what could have been …")
        foreseen = foresee(bundle, grounds, script, args.seed)

    console.print(final_report(standings, script, bundle.manifest.end, slowdown, foreseen))
    if args.json is not None:
        _write(args.json, record(standings, script, _conditions(args, bundle, profile, slowdown), foreseen))


def shipped_bundle() -> Path:
    """The trained bundle inside the package."""
    return Path(str(resources.files("offramp_evaluation") / SHIPPED))


def _board(grounds: Grounds, bundle: Bundle, folder: Path) -> Board:
    """With the profiles that were just measured: nobody has to measure them again."""
    own, edge = folder / "board.json", folder / "edge.json"
    write_profile(grounds.device, own)
    write_profile(grounds.edge, edge)
    return Board(
        bundle=bundle.path,
        slowdown=grounds.device.slowdown,
        threads=THREADS,
        profile=own,
        edge_profile=edge,
        objective=str(grounds.objective),
        strategy=STRATEGY,
    )


def _console() -> Console:
    console = Console(highlight=False)
    # Where nobody says how wide it is (a pipe, a log) rich assumes 80; the table needs a little more.
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


def _screen(console: Console, bundle: Bundle, *, plain: bool) -> Screen:
    if plain or not console.is_terminal:
        return PlainScreen(console)
    return LiveScreen(console, bundle.manifest.labels)


def _measure(bundle: Bundle, candidates: Candidates, clock: Clock) -> Profile:
    configure_threads(THREADS)
    samples = np.stack([frame.image for frame in islice(camera_frames(Part.CALIBRATION), FRAMES)])
    # All stay open: heads, branches and tails, for every cut.
    runtime = OnnxRuntime(bundle, capacity=3 * len(bundle.manifest.cuts))
    try:
        return measure_profile(bundle, runtime, samples, _codecs(candidates), threads=THREADS, clock=clock)
    finally:
        runtime.close()


def _slowdown(profile: Profile, script: Script) -> float:
    """The board that suits the rate, whatever this machine is like; a whole number, to be read by people."""
    return max(1.0, round(BUSY / script.rate / profile.segment(0, profile.end).median))


def _codecs(candidates: Candidates) -> dict[int, list[str]]:
    """By split, those that some candidate uses."""
    sent = ((item.split, codec) for item in candidates.candidates for codec in item.codecs)
    used = sorted({(split, codec) for split, codec in sent if codec != "none"})
    return {split: [codec for at, codec in used if at == split] for split, _ in used}


def _conditions(args: argparse.Namespace, bundle: Bundle, profile: Profile, slowdown: float) -> Mapping[str, Any]:
    return {
        "offramp": __version__,
        "bundle": bundle.manifest.name,
        "model_digest": bundle.manifest.model_digest,
        "host": profile.host,
        "seconds": args.seconds,
        "rate": args.rate,
        "slowdown": slowdown,
        "drop": args.drop,
        "seed": args.seed,
        "emulated": ["link", "slowness of the board"],
        "profile": asdict(profile),
    }


def _write(path: Path, content: Mapping[str, Any]) -> None:
    try:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"the record cannot be written to {path}: {error.strerror}; choose another file") from error
