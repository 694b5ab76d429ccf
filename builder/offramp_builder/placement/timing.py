"""What exits take: segments timed at batch 1 as a device runs them, ONNX Runtime and the policy's decision included.

    way to a branch and its answer    leave = 0 ─► branch
    asked there, and going on         added = (0 ─► branch) + (branch ─► end) - (0 ─► end in one piece)

So a point needs three segments, not one for each pair of points: what lies between two branches follows from them. The
few segments that a chosen set runs are timed themselves in the end (`road_seconds`).
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle, open_bundle
from offramp.clock import Clock, SystemClock
from offramp.exits.catalog import open_policy
from offramp.exits.policy import NO_STATE, BranchOutputs
from offramp.plan import ExitRule
from offramp.records import Array, Feature
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.runtime.runtime import Segment
from offramp_builder.bundle import write_bundle
from offramp_builder.capture import Captured
from offramp_builder.segments import Branch

ROUNDS = 200
"""Runs of each segment, taking turns: a machine's clock drifts by tens of per cent within minutes."""
_WARM_UP = 5
_LONGEST = 90.0
"""Seconds for all rounds together; slow networks, whose times scatter less, get fewer."""
_FEWEST = 20

Key = tuple[int, int, bool]
"""Start, stop, and whether the branch there is asked."""
Told = Callable[[str, int, int], None]
"""What is going on, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTimes:
    """Seconds at one point."""

    trunk: float
    """From the sample to here."""
    leave: float
    """The same with the branch and the decision."""
    added: float
    """For who is asked here and stays to the end."""


def time_points(
    captured: Captured, branches: Sequence[Branch], policy: str, tell: Told
) -> tuple[dict[int, PointTimes], float]:
    """By position of the branch; and the seconds of the whole network in one piece.

    Raises:
        ModelError: A branch cannot be written, or does not answer as it does in torch.
    """
    kept = sorted({0, captured.end, *(branch.position for branch in branches)})
    end = len(kept) - 1
    tell("writing segments to time", 0, 1)
    with tempfile.TemporaryDirectory(prefix="offramp-exits-") as folder:
        path = Path(folder, "bundle")
        write_bundle(
            path,
            captured,
            kept,
            name="exits",
            labels=[str(index) for index in range(captured.classes)],
            branches=branches,
            wanted=lambda start, stop, branch: start == 0 or (stop == end and not branch),
        )
        bundle = open_bundle(path)
        keys = [(spec.start, spec.stop, spec.branch) for spec in bundle.manifest.segments]
        seconds = time_segments(bundle, keys, policy, lambda done, total: tell("timing exits", done, total))
    full = seconds[0, end, False]
    found = {}
    for branch in branches:
        cut = kept.index(branch.position)
        leave = seconds[0, cut, True]
        added = max(0.0, leave + seconds[cut, end, False] - full)
        found[branch.position] = PointTimes(trunk=min(seconds[0, cut, False], leave), leave=leave, added=added)
    return found, full


def road_of(manifest: Manifest, asked: Sequence[int]) -> list[Key]:
    """The segments that a sample meets which stays to the end of the network."""
    stops = [0, *asked, manifest.end]
    return [(start, stop, stop != manifest.end) for start, stop in pairwise(stops)]


def road_seconds(bundle: Bundle, asked: Sequence[int], reach: Sequence[float], policy: str, tell: Told) -> float:
    """Of an average sample, of which the shares `reach` come to each branch and to the end."""
    road = road_of(bundle.manifest, asked)
    seconds = time_segments(bundle, road, policy, lambda done, total: tell("timing the chosen exits", done, total))
    return sum(share * seconds[key] for share, key in zip(reach, road, strict=True))


def time_segments(
    bundle: Bundle,
    keys: Sequence[Key],
    policy: str,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    *,
    clock: Clock | None = None,
    rounds: int = ROUNDS,
) -> dict[Key, float]:
    """Median seconds of each segment over the bundle's reference samples, in an order drawn anew for each round."""
    clock = clock or SystemClock()
    samples, _ = bundle.reference()
    rng = np.random.default_rng(0)
    with OnnxRuntime(bundle, capacity=2 * len(bundle.manifest.segments)) as runtime:
        opened = {key: runtime.open(key[0], key[1], branch=key[2]) for key in keys}
        features = [_features(bundle.manifest, runtime, opened, sample[None]) for sample in samples]
        asked = _decider(policy, bundle.manifest)
        times: dict[Key, list[float]] = {key: [] for key in keys}
        began, number = clock.now(), 0
        while number < _WARM_UP + rounds:
            at = features[number % len(features)]
            for place in rng.permutation(len(keys)):
                key = keys[place]
                before = clock.now()
                outputs = opened[key].run(at[key[0]])
                if key[2]:
                    assert outputs.logits_NK is not None
                    assert outputs.scores_NS is not None
                    asked(BranchOutputs(key[1], outputs.logits_NK, outputs.scores_NS))
                times[key].append(clock.now() - before)
            number += 1
            progress(number, _WARM_UP + rounds)
            if number >= _WARM_UP + _FEWEST and clock.now() - began > _LONGEST:
                break
    return {key: float(np.median(values[_WARM_UP:])) for key, values in times.items()}


def _features(
    manifest: Manifest, runtime: OnnxRuntime, keys: Mapping[Key, Segment], sample: Array
) -> dict[int, Feature]:
    """What is alive at the start of every segment."""
    found: dict[int, Feature] = {0: (sample,)}
    for start in sorted({key[0] for key in keys} - {0}):
        branch = manifest.branch_at(start) is not None
        found[start] = runtime.open(0, start, branch=branch).run(found[0]).feature
    return found


def _decider(policy: str, manifest: Manifest) -> Callable[[BranchOutputs], object]:
    thresholds = tuple((branch.cut, 1.0) for branch in manifest.branches)
    deciding = open_policy(ExitRule(policy=policy, thresholds=thresholds))
    return lambda outputs: deciding.decide(outputs, NO_STATE)
