"""Does the orchestrator know in advance how long samples will take? Five links × three plans, live.

    frames ─► device ─► shaper ─► edge         real processes and sockets, an emulated board
                 └ reports ─► orchestrator ─► what it predicts of the plan in force, from what was measured so far

The orchestrator learns for some seconds; what it predicts then is compared with the mean latency of the seconds after.
Frames are one of each scene: what is predicted is a mean over all of them, and a few scenes have means of their own.
"""

import contextlib
import sys
import tempfile
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.harness import Claim, a_parser, report
from offramp.bundle.store import Bundle, open_bundle
from offramp.clock import SystemClock
from offramp.data.camera import camera_frames
from offramp.errors import OfframpError
from offramp.measure.here import profile_here
from offramp.measure.profile import write_profile
from offramp.planning.candidates import Candidate, read_candidates
from offramp.records import Answered
from offramp.units import Seconds
from offramp_evaluation.assets import DEMO_BUNDLE
from offramp_evaluation.demo.contenders import Contender
from offramp_evaluation.demo.progress import Run
from offramp_evaluation.demo.run import run_one
from offramp_evaluation.demo.screen import SilentScreen
from offramp_evaluation.demo.script import Phase, Script
from offramp_evaluation.road.road import Board, Road
from offramp_evaluation.shaper.link import parse_link

LINKS = ("0.5mbit,30ms", "2mbit,20ms", "5mbit,20ms", "20mbit,10ms", "50mbit,10ms")
LEARNING, JUDGED, RATE = Seconds(6.0), Seconds(14.0), 8.0
LONGEST_RUN = 24
"""Frames of a scene, at most."""
MEDIAN, WORST = 0.10, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    link: str
    plan: str
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        return abs(self.predicted / self.measured - 1)


def main() -> int:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument("--bundle", type=Path, default=DEMO_BUNDLE, help="default: the shipped demo")
    parser.add_argument("--frames", type=Path, help="x and y in an .npz (default: camera-digits, one frame a scene)")
    parser.add_argument("--slowdown", type=float, default=30.0, help="of the emulated board (default: 30)")
    arguments = parser.parse_args()
    bundle, links = open_bundle(arguments.bundle), LINKS[:1] if arguments.quick else LINKS
    found = []
    with tempfile.TemporaryDirectory() as folder:
        frames = arguments.frames or scenes(Path(folder) / "frames.npz")
        board = a_board(bundle, arguments.slowdown, Path(folder))
        for plan in plans(bundle):
            for link in links:
                found.append(one(board, str(frames), plan, link))
                print(f"  {link:14} {found[-1].error:6.1%} off  {plan}", file=sys.stderr)
    errors = [item.error for item in found]
    details = {f"{item.link}: {item.plan}": {"predicted": item.predicted, "measured": item.measured} for item in found}
    claims = [
        Claim(name="predicted mean latency, median error", found=float(np.median(errors)), limit=MEDIAN, unit=""),
        Claim(name="the same, worst", found=max(errors), limit=WORST, unit=""),
    ]
    return report("prediction", claims, details, arguments)


def scenes(path: Path) -> Path:
    """One frame of each run that the camera films, as a file."""
    wanted = round((LEARNING + JUDGED) * RATE)
    drawn = list(islice(camera_frames(seed=5), 0, LONGEST_RUN * wanted, LONGEST_RUN))
    np.savez(path, x=np.stack([frame.image for frame in drawn]), y=np.array([frame.truth for frame in drawn]))
    return path


def a_board(bundle: Bundle, slowdown: float, folder: Path) -> Board:
    own, edge = folder / "board.json", folder / "edge.json"
    write_profile(profile_here(bundle, slowdown=slowdown), own)
    write_profile(profile_here(bundle), edge)
    return Board(
        bundle=bundle.path,
        slowdown=slowdown,
        threads=1,
        profile=own,
        edge_profile=edge,
        objective="drop=any",
    )


def plans(bundle: Bundle) -> list[str]:
    """The whole input, a feature without exits, and one with them."""
    items = read_candidates(bundle).candidates
    sends = [item for item in items if item.codec != "none"]
    whole = [item for item in sends if item.split == 0 and item.codec.startswith("jpeg")]
    feature = [item for item in sends if item.split and not item.exit.thresholds]
    exits = [item for item in sends if item.split and item.exit.thresholds and 0.2 < item.offload < 0.8]
    return [str(max(kind, key=_worth).plan()) for kind in (whole, feature, exits)]


def _worth(item: Candidate) -> float:
    return item.accuracy - 1e-5 * item.payload_mean


def one(board: Board, frames: str, plan: str, link: str) -> Told:
    """One plan over one link."""
    phase = Phase(name=link, link=parse_link(link))
    script = Script(seconds=Seconds(LEARNING + JUDGED), rate=RATE, phases=(phase,))
    clock = SystemClock()
    with Road(replace(board, strategy=f"fixed:{plan}"), phase.link, clock) as road:
        run = Run(contender=Contender(name="prediction", about=""), script=script)
        outcomes = run_one(road, run, frames, SilentScreen(), clock)
        assert road.orchestrator is not None
        said = []
        with contextlib.suppress(OfframpError):
            while (event := road.orchestrator.next(Seconds(0.2))) is not None:
                if event["event"] == "telemetry" and event["plan"] == plan and event["predicted"]:
                    said.append(event["predicted"])
    judged = [item for item in outcomes if item.index >= LEARNING * RATE and item.answered is not Answered.REJECTED]
    if len(said) <= LEARNING:
        raise OfframpError(f"the orchestrator predicted {plan} {len(said)} times only over {link}")
    return Told(
        link=link,
        plan=plan,
        predicted=said[int(LEARNING) - 1],
        measured=float(np.mean([item.latency for item in judged])),
    )


if __name__ == "__main__":
    sys.exit(main())
