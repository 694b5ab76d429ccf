"""Maps that do not fit into memory are heard afresh in every pass."""

import numpy as np
import pytest
import torch
from torch import Tensor

from offramp.data import Parts
from offramp.records import Array
from offramp_builder.branches import cache
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.branches.training import train_branches
from offramp_builder.capture import Captured
from offramp_builder.training.augment import augment
from offramp_builder.training.settings import TrainSettings
from tests.builder.trunks import squares_parts, squares_trunk


@pytest.fixture
def parts() -> Parts:
    return squares_parts()


@pytest.fixture
def trunk() -> Captured:
    return squares_trunk()


@pytest.fixture
def _room_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_MOST", 1)


def answers(trunk: Captured, parts: Parts, **settings: float) -> tuple[float, Tensor]:
    """Accuracy of a conv branch, and all its weights in a row."""
    exits = train_branches(
        trunk,
        [trunk.position("layer1")],
        "conv",
        train=parts.train,
        calibration=parts.calibration,
        settings=BranchSettings(**settings),
    )
    (branch,) = exits.branches
    assert branch.accuracy is not None
    return branch.accuracy, torch.cat([value.flatten().float() for value in branch.network.state_dict().values()])


@pytest.mark.usefixtures("_room_for_one")
@pytest.mark.parametrize("distill", [0.0, 0.5])
def test_branches_learn_without_keeping_what_the_trunk_said(trunk: Captured, parts: Parts, distill: float) -> None:
    accuracy, _ = answers(trunk, parts, distill=distill)
    assert accuracy > 0.5


@pytest.mark.usefixtures("_room_for_one")
def test_equal_seeds_fit_equal_branches(trunk: Captured, parts: Parts) -> None:
    assert torch.equal(answers(trunk, parts)[1], answers(trunk, parts)[1])


@pytest.mark.usefixtures("_room_for_one")
def test_every_sample_is_met_in_every_pass(trunk: Captured, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[Array] = []

    def note(samples: Array, settings: TrainSettings, rng: np.random.Generator) -> Array:
        met.append(samples)
        return augment(samples, settings, rng)

    monkeypatch.setattr("offramp_builder.branches.afresh.augment", note)
    monkeypatch.setattr("offramp_builder.branches.afresh.BATCH", 8)
    answers(trunk, parts)
    a_pass = len(parts.train) // 8
    for start in range(0, len(met), a_pass):
        shown = np.concatenate(met[start : start + a_pass])
        assert len(np.unique(shown.reshape(len(shown), -1), axis=0)) == a_pass * 8


def test_what_fits_into_memory_is_kept(trunk: Captured, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("offramp_builder.branches.training.fit_afresh")
    accuracy, _ = answers(trunk, parts)
    assert accuracy > 0.5
