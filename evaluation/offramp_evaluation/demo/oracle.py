"""What could have been: the demo's frames over the demo's link, replayed by a planner that knows the link in advance.

    frames ─► offramp evaluate record ─► tape ─► replay, choosing each second by the second to come ─► one row

Simulated, and labelled so: times come from the profiles, the link from the script.
"""

import math
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from offramp.bundle.store import Bundle
from offramp.data.camera import camera_frames
from offramp.errors import OfframpError
from offramp.planning.strategies.catalog import open_strategy
from offramp.planning.strategies.strategy import Grounds
from offramp.tape.reader import Tape, open_tape
from offramp.units import Seconds
from offramp_evaluation.demo.script import Script
from offramp_evaluation.demo.tally import Summary, outcome_of, summarise
from offramp_evaluation.replay import arrivals
from offramp_evaluation.replay.drivers import Foreseeing
from offramp_evaluation.replay.run import replay
from offramp_evaluation.replay.scenario import DeviceScript, Scenario
from offramp_evaluation.shaper.link import Schedule
from offramp_evaluation.traces.steps import from_schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """The oracle's row."""

    summary: Summary
    about: str


def foresee(bundle: Bundle, grounds: Grounds, script: Script, seed: int) -> Foreseen:
    """Record the frames of the source `camera-digits:SEED` and replay them over the script's links.

    Raises:
        OfframpError: They could not be recorded.
    """
    with tempfile.TemporaryDirectory(prefix="offramp-demo-") as folder:
        tape = _record(bundle, grounds, script, seed, Path(folder))
        results = replay(_scenario(bundle, grounds, tape, script)).results
    return Foreseen(
        summary=summarise(map(outcome_of, results)),
        about=f"knows each second of the link in advance; replayed from a tape of these frames: SIMULATED, "
        f"{len(results)} frames",
    )


def _record(bundle: Bundle, grounds: Grounds, script: Script, seed: int, folder: Path) -> Tape:
    frames, tape = folder / "frames.npz", folder / "frames.tape"
    drawn = list(islice(camera_frames(seed=seed), script.frames))
    np.savez(frames, x=np.stack([frame.image for frame in drawn]), y=np.array([frame.truth for frame in drawn]))
    codecs = sorted({item.codec for item in grounds.candidates.candidates if item.codec != "none"})
    command = [sys.executable, "-m", "offramp.cli", "evaluate", "record", "--bundle", str(bundle.path)]
    command += ["--data", f"npz:{frames}", "--subset", "all", "--no-screen", "--codecs", ",".join(codecs)]
    done = subprocess.run([*command, "--out", str(tape)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OfframpError(f"the frames could not be recorded for the oracle: {done.stderr.strip()[-500:]}")
    return open_tape(tape)


def _scenario(bundle: Bundle, grounds: Grounds, tape: Tape, script: Script) -> Scenario:
    *first, last = script.phases
    steps = (*((script.seconds, phase.link) for phase in first), (Seconds(math.inf), last.link))
    up, down = from_schedule("demo", Schedule(steps=steps))
    device = DeviceScript(
        name="board",
        rows=np.argsort(tape.id_N),
        arrivals=arrivals.fixed(script.rate, script.frames),
        driver=Foreseeing(open_strategy("search", grounds), up, rate=script.rate),
        profile=grounds.device,
    )
    return Scenario(tape=tape, manifest=bundle.manifest, devices=(device,), edge=grounds.edge, up=up, down=down)
