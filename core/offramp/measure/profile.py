"""A profile: measured seconds of segments and codecs on one kind of host.

Segments are timed as they really run, each by itself, not as a sum of stages: every needless boundary costs up to
100 µs, and what a segment takes depends on whether the processor slept before it.
"""

import json
import math
import platform
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from offramp.bundle.jsonform import from_json, to_json
from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle
from offramp.clock import Clock
from offramp.codecs.catalog import open_codec
from offramp.codecs.codec import Codec
from offramp.errors import BundleError, MissingExtraError
from offramp.plan import via_of
from offramp.records import Array, Feature
from offramp.runtime.board import Effort
from offramp.runtime.runtime import Runtime
from offramp.units import Seconds

T = TypeVar("T")

PAUSE = Seconds(0.01)
"""Before each timed piece of work. A device that takes a few frames a second sleeps between them, and what has slept
starts with cold caches and a slow clock: a 0.34 ms head, timed in a tight loop, took 0.56 ms at 8 frames a second, a
0.26 ms JPEG 0.48 ms."""
CODEC_TURN = 3
"""Codecs are timed in every third round: there are many of them, and they take turns with their pauses too."""
TRIM = 0.1
"""Share of the runs that is left out of the mean at either end: one stall of the machine is no cost of a segment."""
WARM_UP = 2
"""Rounds before those that count: sessions are warm, caches and branch predictors are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one piece of work takes at batch 1, in seconds."""

    median: float
    p95: float
    mean: float | None = None
    """Of all but the fastest and the slowest tenth; None in profiles older than it."""

    @property
    def expected(self) -> float:
        """What many runs take, divided by their number: the mean where it is known, which lies above the median."""
        return self.median if self.mean is None else self.mean

    def times(self, factor: float) -> "Cost":
        mean = None if self.mean is None else self.mean * factor
        return Cost(median=self.median * factor, p95=self.p95 * factor, mean=mean)


NOTHING = Cost(median=0.0, p95=0.0)
NEVER = Cost(median=1e6, p95=1e6)
"""Of a codec whose library is not installed here: no plan with it is worth it. Finite, since JSON knows no more."""


def cost_of_codec(costs: Mapping[str, Cost], split: int, codec: str) -> Cost:
    """Of a codec, in costs by `split:codec`; nothing where none was timed at its split.

    One that was not timed takes what the dearest there does: if it took nothing, it would look better than all others.
    """
    found = costs.get(f"{split}:{codec}")
    if found is not None:
        return found
    timed = [cost for name, cost in costs.items() if name.startswith(f"{split}:") and cost != NEVER]
    return max(timed, key=lambda cost: cost.expected, default=NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a bundle takes on one host."""

    model_digest: str
    host: str
    threads: int
    slowdown: float
    """1 on a real board; on an emulated one the network takes this multiple of its measured time, applied below."""
    end: int
    """n: the last cut."""
    segments: Mapping[str, Cost]
    """By name, as `segment_name` has it; those of other heads beside the bundle's own, as `headed_name` has it."""
    encode: Mapping[str, Cost]
    """By `split:codec`."""
    decode: Mapping[str, Cost]

    def segment(self, start: int, stop: int, *, branch: bool = False, via: str = "") -> Cost:
        """Of the stages between two cuts, in one graph; nothing when there are none, and no encoder either."""
        empty = start == stop and not via
        return NOTHING if empty else self.segments[segment_name(start, stop, branch=branch, via=via)]

    def headed(self, head: str) -> "Profile":
        """The bundle as it runs with one of its heads; what was not timed of it takes what the bundle's own does."""
        if not head:
            return self
        others = {name: self.segments.get(headed_name(name, head), cost) for name, cost in self.segments.items()}
        return replace(self, segments=others)

    def named_of(self, head: str) -> "Profile":
        """What was measured with one of the bundle's heads, as part of a profile of all of them."""
        return replace(self, segments={headed_name(name, head): cost for name, cost in self.segments.items()})

    def slowed(self, factor: float) -> "Profile":
        """The profile of an emulated board on which the network takes `factor` times as long.

        Codecs are not slowed: the emulation delays segments alone, and a profile describes what really runs.
        """
        return replace(
            self,
            host=f"{self.host}, emulated {factor:g} times slower",
            slowdown=self.slowdown * factor,
            segments={name: cost.times(factor) for name, cost in self.segments.items()},
        )


def measure_profile(
    bundle: Bundle,
    runtime: Runtime,
    samples: Array,
    codecs: Mapping[int, list[str]],
    *,
    threads: int,
    clock: Clock,
    rounds: int = 15,
    pause: Seconds = PAUSE,
    effort: Effort | None = None,
) -> Profile:
    """Time everything `rounds` times, interleaved, over samples [M, *shape]; each piece of work after a `pause`.

    Codecs whose library is not installed here take `NEVER`.

    With `effort`, segments are timed by what they computed, as an emulated board multiplies it; else by wall time, as
    codecs always are.
    """
    manifest = bundle.manifest
    opened = {
        (split, name): codec
        for split, names in codecs.items()
        for name, codec in open_installed(names, manifest, split).items()
    }
    missing = {f"{split}:{name}": NEVER for split, names in codecs.items() for name in names}
    times: dict[str, list[float]] = {}

    def rested(name: str, call: Callable[[Any], T], argument: Any, now: Effort) -> T:
        clock.sleep(pause)
        before = now()
        result = call(argument)
        times.setdefault(name, []).append(now() - before)
        return result

    for number in range(WARM_UP + rounds):
        if number == WARM_UP:
            times.clear()
        sample: Feature = (samples[number % len(samples)][None],)
        features: dict[tuple[int, str], Feature] = {(0, ""): sample}
        # By their start, so that what a segment begins with is there before it runs: codes after the cut's feature.
        for spec in sorted(manifest.segments, key=lambda spec: (spec.start, manifest.begins_via(spec), spec.stop)):
            segment = runtime.open(spec.start, spec.stop, branch=spec.branch, via=spec.via)
            name = segment_name(spec.start, spec.stop, branch=spec.branch, via=spec.via)
            given = features[spec.start, manifest.begins_via(spec)]
            feature = rested(name, segment.run, given, effort or clock.now).feature
            features.setdefault((spec.stop, manifest.ends_via(spec)), feature)
        if number and (number - WARM_UP) % CODEC_TURN:
            continue
        for (split, name), codec in opened.items():
            payload = rested(f"encode {split}:{name}", codec.encode, features[split, via_of(name)], clock.now)
            rested(f"decode {split}:{name}", codec.decode, payload, clock.now)

    costs = {name: cost_of(values) for name, values in times.items()}
    return Profile(
        model_digest=manifest.model_digest,
        host=describe_host(),
        threads=threads,
        slowdown=1.0,
        end=manifest.end,
        segments={name: cost for name, cost in costs.items() if " " not in name},
        encode=missing | _named(costs, "encode "),
        decode=missing | _named(costs, "decode "),
    )


def open_installed(names: Iterable[str], manifest: Manifest, split: int) -> dict[str, Codec]:
    """The codecs of these names, without those whose library is not installed here."""
    opened = {}
    for name in names:
        with suppress(MissingExtraError):
            opened[name] = open_codec(name, manifest, split)
    return opened


def segment_name(start: int, stop: int, *, branch: bool, via: str = "") -> str:
    """`0-3`; `0-3+branch` when it ends in a branch; `0-3~slim` via a bottleneck."""
    return f"{start}-{stop}{'+branch' * branch}{'~' * bool(via)}{via}"


def headed_name(name: str, head: str) -> str:
    """Of the same segment as one of the bundle's heads has it: `0-3+branch@int8`."""
    return f"{name}{'@' * bool(head)}{head}"


def cost_of(values: list[float]) -> Cost:
    """What runs of one piece of work took, in seconds, as its cost."""
    median, p95 = np.quantile(values, (0.5, 0.95))
    out = math.ceil(TRIM * len(values)) if len(values) > 2 else 0
    return Cost(median=float(median), p95=float(p95), mean=float(np.mean(sorted(values)[out : len(values) - out])))


def write_profile(profile: Profile, path: Path) -> None:
    path.write_text(json.dumps(to_json(profile), indent=1) + "\n", encoding="utf-8")


def read_profile(path: Path) -> Profile:
    """
    Raises:
        BundleError: No profile there, or a malformed one.
    """
    try:
        return from_json(Profile, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} is not a profile: {error}") from error


def describe_host() -> str:
    """Processor model and machine, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return f"{line.partition(':')[2].strip()} ({platform.machine()})"
    except OSError:
        pass  # not Linux: the platform module knows less, but something
    return f"{platform.processor() or 'unknown processor'} ({platform.machine()})"


def _named(costs: Mapping[str, Cost], prefix: str) -> dict[str, Cost]:
    return {name.removeprefix(prefix): cost for name, cost in costs.items() if name.startswith(prefix)}
