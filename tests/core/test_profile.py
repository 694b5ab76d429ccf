import json
from pathlib import Path

import numpy as np
import pytest

from offramp.bundle.store import Bundle
from offramp.clock import ManualClock
from offramp.measure.profile import (
    NEVER,
    NOTHING,
    Cost,
    Profile,
    cost_of_codec,
    measure_profile,
    read_profile,
    write_profile,
)
from offramp.records import Feature
from offramp.runtime.runtime import SegmentOutputs
from offramp.units import Seconds
from tests.support.plans import a_profile


class Counting:
    """A runtime on a manual clock: each run takes what `takes` says next, a third of which is computing."""

    def __init__(self, bundle: Bundle, clock: ManualClock, takes: list[float]) -> None:
        self.computed = 0.0
        self._manifest, self._clock, self._takes, self._runs = bundle.manifest, clock, takes, 0

    def open(self, start: int, stop: int, *, branch: bool, via: str = "") -> "Counting":
        self.spec = self._manifest.segment(start, stop, branch=branch, via=via)
        return self

    def run(self, feature: Feature) -> SegmentOutputs:
        # All segments of a round take the same.
        took = self._takes[self._runs // len(self._manifest.segments)]
        self._runs += 1
        self._clock.advance(Seconds(took))
        self.computed += took / 3
        tensors = self._manifest.cuts[self.spec.stop].tensors
        return SegmentOutputs(tuple(np.zeros((1, *tensor.shape), tensor.dtype) for tensor in tensors))

    def close(self) -> None: ...


def profiled(
    bundle: Bundle, takes: list[float], *, emulated: bool = False, codecs: dict[int, list[str]] | None = None
) -> Profile:
    clock = ManualClock()
    runtime = Counting(bundle, clock, [9.0, 9.0, *takes])  # two rounds warm up
    samples, _ = bundle.reference()
    effort = (lambda: runtime.computed) if emulated else None
    return measure_profile(
        bundle,
        runtime,
        samples,
        codecs or {},
        threads=1,
        clock=clock,
        rounds=len(takes),
        effort=effort,
    )


def test_the_mean_leaves_out_the_fastest_and_the_slowest_tenth(tiny_bundle: Bundle) -> None:
    cost = profiled(tiny_bundle, [*[1.0] * 10, *[2.0] * 8, 0.0, 99.0]).segment(0, 1)
    # A tenth of twenty is two at either end: the 0 goes with a 1, the 99 with a 2.
    assert cost.mean == pytest.approx((9 * 1.0 + 7 * 2.0) / 16)
    assert cost.median == pytest.approx(1.0)


def test_an_emulated_board_is_profiled_by_what_it_multiplies(tiny_bundle: Bundle) -> None:
    assert profiled(tiny_bundle, [3.0] * 5).segment(0, 1).expected == pytest.approx(3.0)
    assert profiled(tiny_bundle, [3.0] * 5, emulated=True).segment(0, 1).expected == pytest.approx(1.0)


@pytest.mark.parametrize("rounds", [1, 2, 7])
def test_codecs_take_turns_but_none_goes_untimed(tiny_bundle: Bundle, rounds: int) -> None:
    profile = profiled(tiny_bundle, [1.0] * rounds, codecs={0: ["raw"]})
    assert set(profile.encode) == set(profile.decode) == {"0:raw"}


def test_a_profile_without_means_is_still_read(tmp_path: Path) -> None:
    write_profile(a_profile(), tmp_path / "old.json")
    text = json.loads((tmp_path / "old.json").read_text())
    for cost in text["segments"].values():
        del cost["mean"]
    (tmp_path / "old.json").write_text(json.dumps(text))
    cost = read_profile(tmp_path / "old.json").segment(0, 2)
    assert (cost.mean, cost.expected) == (None, cost.median)


def test_a_slower_board_takes_longer_on_average_too() -> None:
    assert Cost(median=1.0, p95=3.0, mean=2.0).times(10.0) == Cost(median=10.0, p95=30.0, mean=20.0)


def test_a_codec_that_nobody_timed_takes_what_the_dearest_at_its_split_does() -> None:
    """Of those that can be used here at all."""
    cheap, dear = Cost(median=1e-6, p95=1e-6), Cost(median=2e-6, p95=3e-6)
    costs = {"1:affine8": cheap, "1:affine8+zstd": dear, "1:affine8+range": NEVER, "2:float32": cheap}
    assert cost_of_codec(costs, 1, "affine8") == cheap
    assert cost_of_codec(costs, 1, "affine4+zstd") == dear
    assert cost_of_codec(costs, 3, "affine8") == NOTHING
