"""A profile: measured seconds of stages, branches and codecs on one kind of host.

Heads and tails are timed as the segments that really run (from the input to a cut, from a cut to the output), not as
a sum of stages: every needless boundary costs up to 100 µs. A branch costs what its head takes more with it.
"""

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from offramp.bundle.jsonform import from_json, to_json
from offramp.bundle.store import Bundle
from offramp.clock import Clock
from offramp.codecs.catalog import open_codec
from offramp.errors import BundleError
from offramp.records import Array, Feature
from offramp.runtime.runtime import Runtime

T = TypeVar("T")

WARM_UP = 2
"""Rounds before those that count: sessions are warm, caches and branch predictors are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one piece of work takes at batch 1, in seconds."""

    median: float
    p95: float

    def times(self, factor: float) -> "Cost":
        return Cost(median=self.median * factor, p95=self.p95 * factor)

    def beyond(self, other: "Cost") -> "Cost":
        """What this takes more than `other`; never negative, though two medians may cross in noise."""
        return Cost(median=max(0.0, self.median - other.median), p95=max(0.0, self.p95 - other.p95))


NOTHING = Cost(median=0.0, p95=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a bundle takes on one host."""

    model_digest: str
    host: str
    threads: int
    slowdown: float
    """1 on a real board; on an emulated one the network takes this multiple of its measured time, applied below."""
    head: tuple[Cost, ...]
    """[n + 1] from the input to cut k, without any branch; nothing at cut 0."""
    branch: Mapping[str, Cost]
    """By the branch's cut: what asking it adds."""
    tail: tuple[Cost, ...]
    """[n + 1] from cut k to the output; nothing at cut n."""
    encode: Mapping[str, Cost]
    """By `split:codec`."""
    decode: Mapping[str, Cost]

    def slowed(self, factor: float) -> "Profile":
        """The profile of an emulated board on which the network takes `factor` times as long.

        Codecs are not slowed: the emulation delays segments alone, and a profile describes what really runs.
        """
        return replace(
            self,
            host=f"{self.host}, emulated {factor:g} times slower",
            slowdown=self.slowdown * factor,
            head=tuple(cost.times(factor) for cost in self.head),
            branch={cut: cost.times(factor) for cut, cost in self.branch.items()},
            tail=tuple(cost.times(factor) for cost in self.tail),
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
) -> Profile:
    """Time everything `rounds` times, interleaved, over samples [M, *shape], and keep the medians."""
    manifest = bundle.manifest
    end = manifest.end
    opened = {(split, name): open_codec(name, manifest, split) for split, names in codecs.items() for name in names}
    times: dict[str, list[float]] = {}

    def timed(name: str, call: Callable[[Any], T], argument: Any) -> T:
        before = clock.now()
        result = call(argument)
        times.setdefault(name, []).append(clock.now() - before)
        return result

    for number in range(WARM_UP + rounds):
        if number == WARM_UP:
            times.clear()
        sample: Feature = (samples[number % len(samples)][None],)
        features: dict[int, Feature] = {0: sample}
        for cut in range(1, end + 1):
            features[cut] = timed(f"head {cut}", runtime.open(0, cut, branch=False).run, sample).feature
        for branch in manifest.branches:
            timed(f"branch {branch.cut}", runtime.open(0, branch.cut, branch=True).run, sample)
        for cut in range(end):
            timed(f"tail {cut}", runtime.open(cut, end, branch=False).run, features[cut])
        for (split, name), codec in opened.items():
            payload = timed(f"encode {split}:{name}", codec.encode, features[split])
            timed(f"decode {split}:{name}", codec.decode, payload)

    costs = {name: _cost(values) for name, values in times.items()}
    head = (NOTHING, *(costs[f"head {cut}"] for cut in range(1, end + 1)))
    asked = [branch.cut for branch in manifest.branches]
    return Profile(
        model_digest=manifest.model_digest,
        host=describe_host(),
        threads=threads,
        slowdown=1.0,
        head=head,
        branch={str(cut): costs[f"branch {cut}"].beyond(head[cut]) for cut in asked},
        tail=(*(costs[f"tail {cut}"] for cut in range(end)), NOTHING),
        encode=_named(costs, "encode "),
        decode=_named(costs, "decode "),
    )


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


def _cost(values: list[float]) -> Cost:
    median, p95 = np.quantile(values, (0.5, 0.95))
    return Cost(median=float(median), p95=float(p95))


def _named(costs: Mapping[str, Cost], prefix: str) -> dict[str, Cost]:
    return {name.removeprefix(prefix): cost for name, cost in costs.items() if name.startswith(prefix)}
