"""The benchmark of what codecs cost: which features it takes, and what it claims of the times it found."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.codec_speed import CLAIMED, HEAD, ZSTD, behind_head, encoding, pacing, sharing
from benchmarks.features import LARGEST, Spot, trained_spots
from benchmarks.harness import Times
from offramp.bundle.store import open_bundle
from offramp.records import Feature
from offramp_evaluation.assets import DEMO_BUNDLE
from tests.support.features import FEATURE_CUT, a_manifest_sending, a_tensor


def a_spot(name: str = "block1", values: int = 250) -> Spot:
    feature = np.ones((1, values), np.float32)
    manifest = a_manifest_sending(a_tensor(values, low=0.0))
    return Spot(name=name, manifest=manifest, cut=FEATURE_CUT, features=[feature], head=lambda: (feature,))


def times(**seconds: float) -> Times:
    taken = dict.fromkeys((*CLAIMED, HEAD, ZSTD), 1.0) | {CLAIMED[0]: seconds["encode"], HEAD: seconds.get("head", 1.0)}
    return Times({name: np.full(20, value) for name, value in taken.items()})


def test_small_features_are_those_of_a_trained_network_one_of_each_shape() -> None:
    with trained_spots(open_bundle(DEMO_BUNDLE)) as spots:
        shapes = [spot.features[0].shape for spot in spots]
        assert shapes == [(1, 24, 24, 24), (1, 40, 12, 12), (1, 96, 6, 6)]
        assert all(spot.features[0].size <= LARGEST and 0.2 < spot.zeros < 0.8 for spot in spots)
        assert all(np.array_equal(spot.head()[0], spot.features[1]) for spot in spots)


def test_encoding_is_claimed_in_microseconds_at_each_split() -> None:
    spot = a_spot()
    taken = {spot.title: times(encode=31e-6)}
    claim, *_ = encoding([spot], taken, taken)
    assert claim.name == "affine8+zstd, block1 250"
    assert claim.found == pytest.approx(31)
    assert not claim.holds


def test_the_share_is_that_of_the_head() -> None:
    spot = a_spot()
    assert sharing(spot, {spot.title: times(encode=0.2, head=8.0)})[0].found == pytest.approx(0.025)


def test_the_pace_is_that_of_the_slowest() -> None:
    fast, slow = a_spot("fast"), a_spot("slow")
    claim, _ = pacing([fast, slow], {fast.title: times(encode=1e-6), slow.title: times(encode=2e-6)})
    assert claim.found == pytest.approx(0.5)
    assert "slow" in claim.detail


def test_every_codec_has_a_head_before_it() -> None:
    spot = a_spot()
    asked: list[int] = []

    def head() -> Feature:
        asked.append(1)
        return tuple(spot.features)

    behind_head(replace(spot, head=head), rounds=10)
    assert len(asked) == 10 * len(CLAIMED)
