"""What JEI-DNN's gates and their classifiers are fitted to."""

from math import log

import pytest
import torch

from offramp_builder.branches.gate import GatedBranch, leaving
from offramp_builder.branches.kind import Lesson
from offramp_builder.branches.linear import LinearBranch
from offramp_builder.branches.settings import BranchSettings

# Two samples of class 0, two branches and the end; what each grants class 0, and how far its gate is open.
FIRST, SECOND, END = (0.9, 0.3), (0.9, 0.8), (0.95, 0.9)
GATES = ((0.7, 0.1), (0.6, 0.6))
COSTS = (0.2, 0.4, 1.0)


def logits(answers: tuple[float, ...]) -> torch.Tensor:
    right = torch.tensor(answers)
    return torch.stack([right, 1 - right], dim=1).log()


def joint_loss(step: int) -> float:
    lesson = Lesson(
        truth_N=torch.zeros(2, dtype=torch.int64),
        final_NK=logits(END),
        branches=2,
        settings=BranchSettings(cost_weight=1.0),
        step=step,
    )
    answers = [(logits(said), torch.tensor(gate)) for said, gate in zip((FIRST, SECOND), GATES, strict=True)]
    return float(GatedBranch(LinearBranch()).joint_loss(answers, lesson, COSTS))


def test_nobody_leaves_who_has_left() -> None:
    first, second = leaving([torch.tensor(gate) for gate in GATES])
    assert first.tolist() == pytest.approx([0.7, 0.1])
    assert second.tolist() == pytest.approx([0.3, 0.6])


def test_classifiers_learn_from_those_who_will_leave_there() -> None:
    first = -(0.7 * log(0.9) + 0.1 * log(0.3)) / 0.8
    second = -(0.3 * log(0.9) + 0.6 * log(0.8)) / 0.9
    assert joint_loss(step=0) == pytest.approx(first + second, rel=1e-5)


def test_gates_learn_to_open_from_the_exit_on_that_serves_a_sample_best() -> None:
    """The first sample is served best by the first branch; the second by the second: 0.30 + 0.4 against 0.22 + 1."""
    first = -0.5 * (log(0.7) + log(1 - 0.1))
    second = -0.5 * log(0.6)  # both should leave at the latest here
    assert joint_loss(step=20) == pytest.approx(first + second, rel=1e-4)


def test_they_learn_by_turns() -> None:
    assert joint_loss(0) == joint_loss(19) == joint_loss(40)
    assert joint_loss(20) == joint_loss(39) != joint_loss(40)
