"""What a certificate has to say about its samples: whether anything else looked at them."""

from dataclasses import replace

import pytest

from offramp.exits.evidence import Origin
from offramp.measure.calibration import FITTED, looked_at, seed_of
from tests.support.manifests import a_manifest

BUILT = {"data_sha256": "a" * 64, "seed": "3", FITTED: "20 of the calibration samples"}
HERE = Origin(data="here", digest="a" * 64, subset="calibration", seed=3, whole=True)


@pytest.mark.parametrize(
    ("provenance", "origin", "caution"),
    [
        (BUILT, HERE, ""),
        (BUILT, replace(HERE, digest="b" * 64), "the bundle was built from other data"),
        (BUILT, replace(HERE, digest="b" * 64, whole=False), ""),
        (BUILT, replace(HERE, subset="test"), ""),
        (BUILT, replace(HERE, subset="train"), "the network was trained on them"),
        ({}, HERE, "the bundle does not say what it was trained on"),
        ({"data_sha256": "a" * 64}, HERE, "temperatures were fitted to them too"),
    ],
)
def test_who_looked_at_the_samples_is_said(provenance: dict[str, str], origin: Origin, caution: str) -> None:
    said = looked_at(replace(a_manifest(), provenance=provenance), origin)
    assert said.startswith(caution)
    assert bool(said) == bool(caution)


def test_data_are_dealt_out_with_the_seed_of_the_build() -> None:
    assert (seed_of(replace(a_manifest(), provenance=BUILT)), seed_of(a_manifest())) == (3, 0)
