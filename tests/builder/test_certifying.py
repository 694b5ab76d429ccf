"""A build can end with a certificate, of samples that nothing in the build looked at."""

from pathlib import Path

import numpy as np
import pytest

from offramp.bundle.store import open_bundle
from offramp.cli import DONE, main
from offramp.data.held_out import to_fit
from offramp.errors import SettingsError
from offramp.exits.certificate import read_certificate
from offramp.measure.calibration import FITTED, LIMIT, calibration_part
from offramp_builder.building import build
from offramp_builder.certifying import order_of
from offramp_builder.placement.settings import SearchSettings
from offramp_builder.progress import Screen
from offramp_builder.recipe import Recipe
from offramp_builder.training.settings import TrainSettings
from tests.builder.learnable import bright_squares


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "squares.npz"
    data = bright_squares(900)
    np.savez(path, x=data.samples, y=data.truth_N, labels=np.array(data.labels))
    return f"npz:{path}"


@pytest.fixture(scope="module")
def built(squares: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "squares"
    recipe = Recipe(
        model="zoo:resnet8",
        data=squares,
        limit=800,
        train=TrainSettings(epochs=3, batch=32, shift=0.0),
        cuts="2",
        branches="layer2,layer3",
        search=SearchSettings(drop=0.2),
        confidence=0.9,
    )
    with Screen(quiet=True) as screen:
        build(recipe, out, screen)
    return out


def test_a_build_ends_with_a_certificate_of_what_nobody_looked_at(built: Path) -> None:
    certificate = read_certificate(open_bundle(built))
    assert certificate is not None
    assert (certificate.epsilon, certificate.delta) == (0.2, 0.1)
    assert certificate.looked_at == ""
    assert certificate.leave > 0


def test_the_bundle_says_what_was_looked_at_and_how_its_data_were_limited(built: Path) -> None:
    there = open_bundle(built).manifest.provenance
    assert there[FITTED].endswith("of the calibration samples")
    assert there[LIMIT] == "800"


def test_certified_again_by_command_it_is_the_same(
    built: Path, squares: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_certificate(open_bundle(built))
    flags = ["--drop", "20%", "--confidence", "90%"]
    assert main(["bundle", "certify", str(built), "--data", squares, *flags]) == DONE
    assert read_certificate(open_bundle(built)) == before
    assert "caution" not in capsys.readouterr().out


def test_the_calibration_part_is_that_of_the_build(built: Path, squares: str) -> None:
    manifest = open_bundle(built).manifest
    part = calibration_part(manifest, squares)
    assert f"{len(part)} calibration" in manifest.provenance["split"]
    assert manifest.provenance[FITTED].startswith(str(int(to_fit(part.group_N).sum())))


def test_a_confidence_that_is_none_is_refused_before_anything_is_read() -> None:
    with pytest.raises(SettingsError, match="no certificate can be had with --confidence 1"):
        Recipe(model="zoo:resnet8", data="npz:nowhere.npz", train=TrainSettings(epochs=1), confidence=1.0)
    recipe = Recipe(
        model="zoo:resnet8",
        data="npz:nowhere.npz",
        train=TrainSettings(epochs=1),
        search=SearchSettings(drop=0.0),
        confidence=0.9,
    )
    assert order_of(recipe) is not None
