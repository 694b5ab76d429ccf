"""The bundle that ships with the package is what it says it is."""

from dataclasses import asdict
from importlib import resources
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from offramp.bundle.store import Bundle, open_bundle
from offramp.data import Part
from offramp.data.camera_digits import published_frames
from offramp.data.digits import digits
from offramp.planning.candidates import read_candidates
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp_builder.recipe_file import load_recipe

FRAMES = 1_200
"""About 75 runs of the test part, whose accuracy wanders by a few percent around that of all 357."""
TOLERANCE = 0.03


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    with resources.as_file(resources.files("offramp_evaluation") / "assets" / "demo") as path:
        return open_bundle(path)


@pytest.fixture(scope="module")
def road_test() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The first frames of the test part, and what they show."""
    rows, frames = zip(*islice(published_frames(Part.TEST), FRAMES), strict=True)
    return np.stack(frames), digits().truth_D[list(rows)]


def accuracy(bundle: Bundle, stop: int, *, branch: bool, samples: NDArray[np.uint8], truth: NDArray[np.int64]) -> float:
    segment = OnnxRuntime(bundle).open(0, stop, branch=branch)
    said = [segment.run((samples[start : start + 64],)).logits_NK for start in range(0, len(samples), 64)]
    return float((np.concatenate([logits for logits in said if logits is not None]).argmax(1) == truth).mean())


def test_the_whole_network_reaches_its_stated_accuracy(
    shipped: Bundle, road_test: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> None:
    stated = float(shipped.manifest.provenance["test_accuracy"])
    samples, truth = road_test
    found = accuracy(shipped, shipped.manifest.end, branch=False, samples=samples, truth=truth)
    assert stated > 0.9
    assert found == pytest.approx(stated, abs=TOLERANCE)


def test_every_branch_is_nearly_as_good_in_the_test_as_on_the_calibration_split(
    shipped: Bundle, road_test: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> None:
    samples, truth = road_test
    assert len(shipped.manifest.branches) >= 2
    for branch in shipped.manifest.branches:
        found = accuracy(shipped, branch.cut, branch=True, samples=samples, truth=truth)
        assert branch.accuracy is not None
        assert found > branch.accuracy - 2 * TOLERANCE


def test_the_shipped_bundle_comes_from_the_shipped_recipe(shipped: Bundle) -> None:
    recipe, provenance = load_recipe("demo"), shipped.manifest.provenance
    assert recipe.train is not None
    assert provenance["model"] == recipe.model
    assert provenance["data"] == recipe.data
    told = {key: str(value) for key, value in asdict(recipe.train).items()}
    assert told.items() >= dict(part.split("=") for part in provenance["training"].split(", ")).items()
    assert [shipped.manifest.cuts[branch.cut].name for branch in shipped.manifest.branches] == recipe.branches.split(
        ","
    )


def test_the_shipped_data_set_is_the_one_that_is_drawn_today(shipped: Bundle) -> None:
    """The first frames of each part, as the reference samples of the bundle hold some of the calibration part."""
    samples, _ = shipped.reference()
    drawn = next(frame for _, frame in published_frames(Part.CALIBRATION))
    assert np.abs(samples[0].astype(int) - drawn.astype(int)).mean() < 1.0


def test_many_frames_leave_early_at_no_loss(shipped: Bundle) -> None:
    candidates = read_candidates(shipped)
    early = [plan for plan in candidates.candidates if plan.exit.thresholds and plan.offload < 0.4]
    assert max(plan.accuracy for plan in early) >= candidates.full_accuracy - 0.005


def test_some_feature_competes_with_a_picture_of_the_frame(shipped: Bundle) -> None:
    plans = [plan for plan in read_candidates(shipped).candidates if not plan.exit.thresholds]
    picture = min(plan.payload_mean for plan in plans if plan.split == 0 and plan.codec == "jpeg:90")
    feature = min(plan.payload_mean for plan in plans if 0 < plan.split < shipped.manifest.end - 1)
    assert feature < picture


def test_the_bundle_is_small_enough_to_ship(shipped: Bundle) -> None:
    assert sum(path.stat().st_size for path in Path(shipped.path).rglob("*") if path.is_file()) < 3_000_000
