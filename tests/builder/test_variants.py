"""Which variant of a branch is fitted, and in how many steps."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from offramp_builder.branches import fitting, trial
from offramp_builder.branches.catalog import BRANCH_KINDS
from offramp_builder.branches.fitting import Lessons, Pupil, Teacher
from offramp_builder.branches.kind import Answer, Lesson, Variant
from offramp_builder.branches.linear import LinearBranch
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.branches.training import fitting_variants
from offramp_builder.branches.trial import best_variants
from tests.builder.trunks import squares_parts, squares_trunk

SAMPLES, CHANNELS, CLASSES = 1_000, 4, 2


class Counting(LinearBranch):
    """Counts the batches that it is fitted to."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def loss(self, answer: Answer, lesson: Lesson, index: int, /) -> Tensor:
        self.sizes.append(len(lesson.truth_N))
        return super().loss(answer, lesson, index)


def taught(samples: int) -> list[int]:
    """The sizes of all batches."""
    kind = Counting()
    truth_N = torch.arange(samples) % CLASSES
    lessons = Lessons(kind=kind, truth_N=truth_N, branches=1, settings=BranchSettings())
    variant = Variant(pool=nn.Identity(), head=nn.Linear(CHANNELS, CLASSES), epochs=30)
    pupil = Pupil(variant=variant, feature_N=torch.randn(samples, CHANNELS))
    Teacher(lessons=lessons, final_NK=None, seed=0).teach(pupil, torch.arange(samples), 0)
    return kind.sizes


def test_many_samples_come_in_larger_batches_rather_than_in_more_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_ENOUGH", 60)
    sizes = taught(SAMPLES)
    assert len(sizes) <= 60
    assert sum(sizes) == 30 * SAMPLES


def test_few_samples_come_in_small_batches() -> None:
    assert set(taught(200)) == {32}


def test_variants_are_tried_on_a_part_and_returned_as_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_SAMPLES", 150)
    monkeypatch.setattr(trial, "_SHARE", 1.0)  # so few samples tell nothing in a third of the passes
    torch.manual_seed(0)  # heads come with weights drawn at random
    captured, data = squares_trunk(), squares_parts().train
    position = captured.position("layer2")
    fresh = {position: fitting_variants(captured, position, "linear")}
    before = [{name: value.clone() for name, value in one.head.state_dict().items()} for one in fresh[position]]
    lessons = Lessons(
        kind=BRANCH_KINDS["linear"], truth_N=torch.from_numpy(data.truth_N), branches=1, settings=BranchSettings()
    )
    steps: list[tuple[str, int]] = []
    chosen = best_variants(
        captured, fresh, data, lessons, seed=0, progress=lambda what, _done, total: steps.append((what, total))
    )
    assert chosen[position] is fresh[position][0]  # channels of a convolution come first
    assert ("running the trunk for a trial", 150) in steps
    for variant, weights in zip(fresh[position], before, strict=True):
        assert all(torch.equal(value, weights[name]) for name, value in variant.head.state_dict().items())


def test_nothing_is_tried_where_there_is_one_variant_alone() -> None:
    captured, data = squares_trunk(), squares_parts().train
    position = captured.position("layer2")
    fresh = {position: fitting_variants(captured, position, "conv")}
    lessons = Lessons(
        kind=BRANCH_KINDS["conv"],
        truth_N=torch.from_numpy(np.zeros(len(data), np.int64)),
        branches=1,
        settings=BranchSettings(),
    )

    def surprised(what: str, _done: int, _total: int) -> None:
        raise AssertionError(what)

    assert best_variants(captured, fresh, data, lessons, seed=0, progress=surprised) == {position: fresh[position][0]}
