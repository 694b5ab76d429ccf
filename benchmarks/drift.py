"""Drift on the shipped demo bundle: how fast distorted frames are noticed, how seldom clean ones are, what it saves.

    frames of a part ─► noise, blur ─► segments of the bundle ─► what branch and whole network say ─┐
    scenes in an order drawn anew for each seed ◄────────────────────────────────────────────────────┘
        └─► a device: leaves at the branch or not, shadows, hears of the edge's answers a little later

The network is run once over every frame; a seed only draws the order of the scenes.

# N samples, S fused scores
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from benchmarks.harness import Claim, a_parser, report
from offramp.bundle.store import Bundle, open_bundle
from offramp.data.camera import camera_frames
from offramp.data.dataset import Part
from offramp.exits.steps import Steps
from offramp.measure.drift import DriftEvent, DriftMonitor
from offramp.plan import ExitRule
from offramp.planning.rules import PATHS
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp_evaluation.assets import DEMO_BUNDLE

Frames = NDArray[np.uint8]
THRESHOLD = 0.8
"""Of the first branch's confidence: lenient enough for distortion to matter."""
CLEAN, DISTORTED = 4_000, 1_000
"""Frames that are run through the network: of the test part, and of each distortion."""
BATCH = 50
LAG = 3
"""Samples that arrive until the edge has answered: 0.3 s at ten a second."""
BEFORE, DURING, AFTER = 1_000, 3_000, 6_000
"""Samples of an episode: clean, distorted, clean again."""
STREAM = 20_000
"""Clean samples in which one false alarm is allowed."""
NOTICED = 600
DROPPED = 0.70


def noise(deviation: float) -> Callable[[Frames], Frames]:
    def distort(frames_N: Frames) -> Frames:
        noise_N = np.random.default_rng(0).normal(0, deviation, frames_N.shape).astype(np.float32)
        return np.clip(frames_N + noise_N, 0, 255).astype(np.uint8)

    return distort


def blur(radius: float, then: Callable[[Frames], Frames] = lambda frames_N: frames_N) -> Callable[[Frames], Frames]:
    softly = ImageFilter.GaussianBlur(radius)

    def distort(frames_N: Frames) -> Frames:
        return then(np.stack([np.asarray(Image.fromarray(frame).filter(softly)) for frame in frames_N]))

    return distort


DISTORTIONS: Mapping[str, Callable[[Frames], Frames]] = {
    "noise 60": noise(60),
    "noise 80": noise(80),
    "blur 1.5 + noise 70": blur(1.5, noise(70)),
    "blur 4": blur(4),
    "blur 8": blur(8),
}


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What was said about N frames."""

    step_N: NDArray[np.int64]
    """How far up the path each would leave at the branch."""
    branch_right_N: NDArray[np.bool_]
    full_right_N: NDArray[np.bool_]
    agrees_N: NDArray[np.bool_]
    run_N: NDArray[np.int64]

    def agreement(self, base: int) -> float:
        return float(self.agrees_N[self.step_N >= base].mean())

    def stream(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Indices of `count` frames: scene after scene, in an order drawn anew."""
        scenes = np.split(np.arange(len(self.run_N)), np.flatnonzero(np.diff(self.run_N)) + 1)
        order: list[int] = []
        while len(order) < count:
            for scene in rng.permutation(len(scenes)):
                order.extend(scenes[scene].tolist())
        return np.array(order[:count])


class Listener:
    """Runs frames through the first branch and to the end."""

    def __init__(self, bundle: Bundle) -> None:
        self.steps = Steps("confidence", PATHS["confidence"])
        self.cut, end = min(branch.cut for branch in bundle.manifest.branches), bundle.manifest.end
        self.base = self.steps.of(ExitRule(policy="confidence", thresholds=((self.cut, THRESHOLD),)))
        runtime = OnnxRuntime(bundle)
        self._head, self._tail = runtime.open(0, self.cut, branch=True), runtime.open(self.cut, end, branch=False)

    def hear(self, part: Part, count: int, distort: Callable[[Frames], Frames] = lambda frames_N: frames_N) -> Said:
        frames = list(islice(camera_frames(part), count))
        images_N = distort(np.stack([frame.image for frame in frames]))
        truth_N = np.array([frame.truth for frame in frames])
        steps, branch, full = [], [], []
        for start in range(0, count, BATCH):
            head = self._head.run((images_N[start : start + BATCH],))
            tail = self._tail.run(head.feature)
            assert head.logits_NK is not None
            assert head.scores_NS is not None
            assert tail.logits_NK is not None
            steps.extend(self.steps.reached(scores_S) for scores_S in head.scores_NS)
            branch.append(head.logits_NK.argmax(axis=1))
            full.append(tail.logits_NK.argmax(axis=1))
        branch_N, full_N = np.concatenate(branch), np.concatenate(full)
        return Said(
            step_N=np.array(steps),
            branch_right_N=branch_N == truth_N,
            full_right_N=full_N == truth_N,
            agrees_N=branch_N == full_N,
            run_N=np.array([frame.run for frame in frames]),
        )


@dataclass(slots=True)
class Device:
    """Asks the branch, follows the monitor's caution, tells it what the edge says."""

    monitor: DriftMonitor
    base: int
    answered: int = 0
    shadows: int = 0
    events: list[tuple[int, DriftEvent]] = field(default_factory=list)
    """(samples answered on the device until then, event)"""
    _coming: list[tuple[int, bool, float]] = field(default_factory=list)

    def see(self, said: Said, order: NDArray[np.int64]) -> list[tuple[bool, bool, int]]:
        """Of every sample: whether its answer was right, whether the whole network's is, the caution in force."""
        outcomes = []
        for place in order.tolist():
            caution, step = self.monitor.caution, int(said.step_N[place])
            leaves = step >= max(self.base, caution)
            shadowed = self.monitor.left() if leaves else 0.0
            self.answered += leaves
            self.shadows += shadowed > 0
            if shadowed or not leaves:
                self._coming.append((step, bool(said.agrees_N[place]), shadowed))
            if len(self._coming) > LAG and (event := self.monitor.note(*self._coming.pop(0))):
                self.events.append((self.answered, event))
            right_N = said.branch_right_N if leaves else said.full_right_N
            outcomes.append((bool(right_N[place]), bool(said.full_right_N[place]), caution))
        return outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """Clean, distorted, clean again."""

    noticed: int | None
    """Answered on the device until the alarm."""
    drop: Mapping[str, float]
    """Accuracy lost against the whole network on the same samples."""
    forgiven: bool
    """Caution was relaxed entirely at the end."""


def episode(listener: Listener, promise: float, clean: Said, distorted: Said, seed: int) -> Episode:
    rng = np.random.default_rng(seed)
    monitor = DriftMonitor(promise=promise, base=listener.base, steps=len(listener.steps))
    device = Device(monitor, listener.base)
    before = device.see(clean, clean.stream(rng, BEFORE))
    answered, calm = device.answered, len(device.events)
    outcomes = device.see(distorted, distorted.stream(rng, DURING))
    alarms = [at - answered for at, event in device.events[calm:] if event.after > event.before]
    device.see(clean, clean.stream(rng, AFTER))
    return Episode(
        noticed=alarms[0] if alarms else None,
        drop={
            "before": _drop(before),
            "unnoticed": _drop([one for one in outcomes if not one[2]]),
            "cautious": _drop([one for one in outcomes if one[2]]),
        },
        forgiven=monitor.caution == 0,
    )


def false_alarms(listener: Listener, promise: float, clean: Said, seed: int) -> tuple[int, float]:
    """(alarms in 20,000 clean samples, share of the local answers that was shadowed)"""
    monitor = DriftMonitor(promise=promise, base=listener.base, steps=len(listener.steps))
    device = Device(monitor, listener.base)
    device.see(clean, clean.stream(np.random.default_rng(seed), STREAM))
    return sum(event.after > event.before for _, event in device.events), device.shadows / device.answered


def _drop(outcomes: list[tuple[bool, bool, int]]) -> float:
    if not outcomes:
        return 0.0
    return sum(full - right for right, full, _ in outcomes) / len(outcomes)


def episodes(
    listener: Listener, promise: float, clean: Said, spoilt: Mapping[str, Said], seeds: range
) -> Iterator[tuple[str, float, list[Episode]]]:
    for name, said in spoilt.items():
        found = [episode(listener, promise, clean, said, seed) for seed in seeds]
        yield name, said.agreement(listener.base), found


def main() -> int:
    arguments = a_parser(__doc__.partition("\n")[0]).parse_args()
    scale, seeds = (4, range(3)) if arguments.quick else (1, range(10))
    listener = Listener(open_bundle(DEMO_BUNDLE))
    calibration = listener.hear(Part.CALIBRATION, CLEAN // scale)
    clean = listener.hear(Part.TEST, CLEAN // scale)
    spoilt = {name: listener.hear(Part.TEST, DISTORTED // scale, distort) for name, distort in DISTORTIONS.items()}
    promise = calibration.agreement(listener.base)
    leave = float((calibration.step_N >= listener.base).mean())
    quiet = [false_alarms(listener, promise, clean, seed) for seed in seeds]
    found = list(episodes(listener, promise, clean, spoilt, seeds))
    dropped = [(name, agreement, ran) for name, agreement, ran in found if agreement < DROPPED]
    noticed = [one.noticed if one.noticed is not None else DURING for _, _, ran in dropped for one in ran]
    cautious = [one.drop["cautious"] for _, _, ran in dropped for one in ran]
    claims = [
        Claim(
            name="distortions that lower the agreement below 70 %",
            found=len(dropped),
            limit=2,
            at_most=False,
            unit="",
            detail=", ".join(f"{name}: {agreement:.0%}" for name, agreement, _ in found),
        ),
        Claim(
            name="local answers until noticed, worst",
            found=max(noticed, default=DURING),
            limit=NOTICED,
            unit="",
            detail=f"median {np.median(noticed):.0f} of {len(noticed)} episodes",
        ),
        Claim(
            name="false alarms in 20,000 clean samples, worst",
            found=max(alarms for alarms, _ in quiet),
            limit=1,
            unit="",
            detail=f"{sum(alarms for alarms, _ in quiet)} in {len(quiet)} streams; "
            f"{np.mean([share for _, share in quiet]):.1%} shadowed; promised {promise:.1%}, "
            f"clean {clean.agreement(listener.base):.1%}",
        ),
        Claim(
            name="accuracy lost under caution, in points",
            found=100 * float(np.mean(cautious)),
            limit=100 * leave * (1 - promise),
            unit="",
            detail=", ".join(
                f"{phase} {100 * float(np.mean([one.drop[phase] for _, _, ran in dropped for one in ran])):.1f}"
                for phase in ("before", "unnoticed", "cautious")
            ),
        ),
        Claim(
            name="episodes forgiven within 6,000 clean samples",
            found=sum(one.forgiven for _, _, ran in found for one in ran) / sum(len(ran) for _, _, ran in found),
            limit=0.8,
            at_most=False,
            unit="",
        ),
    ]
    details = {
        name: {"agreement": agreement, "noticed": [one.noticed for one in ran], "drop": [dict(one.drop) for one in ran]}
        for name, agreement, ran in found
    }
    return report("drift", claims, details, arguments)


if __name__ == "__main__":
    sys.exit(main())
