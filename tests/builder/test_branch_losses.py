"""What branches are fitted to, against the definitions by hand."""

from math import exp, log

import pytest
import torch

from offramp_builder.branches.losses import class_exclusion, distillation, eenets

# One sample of class 0; two branches and the end; each answers class 0 with this probability.
ANSWERS = (0.5, 0.8, 0.9)
SURE = (0.3, 0.6)
COSTS = (0.2, 0.5, 1.1)
WEIGHT = 2.0


def logits(probability: float) -> torch.Tensor:
    return torch.tensor([[probability, 1 - probability]]).log()


def eenets_loss(*, every_road: bool) -> float:
    return float(
        eenets(
            [logits(answer) for answer in ANSWERS[:-1]],
            [torch.tensor([sure]) for sure in SURE],
            logits(ANSWERS[-1]),
            torch.tensor([0]),
            COSTS,
            weight=WEIGHT,
            every_road=every_road,
        )
    )


# Written out from the end: who stays at the second branch (0.4) is answered with 0.9 and costs 1.1, and so on.
END = -log(0.9) + 2 * 1.1
SECOND = -log(0.6 * 0.8 + 0.4 * 0.9) + 2 * (0.6 * 0.5 + 0.4 * 1.1)
FIRST = -log(0.3 * 0.5 + 0.7 * 0.84) + 2 * (0.3 * 0.2 + 0.7 * 0.74)


def test_eenets_first_loss_is_that_of_the_whole_road() -> None:
    assert eenets_loss(every_road=False) == pytest.approx(FIRST, rel=1e-5)


def test_eenets_second_loss_adds_the_roads_that_begin_later() -> None:
    assert eenets_loss(every_road=True) == pytest.approx(FIRST + SECOND + END, rel=1e-5)


def test_a_branch_that_is_certain_and_wrong_costs_eenets_much_but_not_everything() -> None:
    certain = torch.tensor([[-200.0, 200.0]])
    one = torch.ones(1)
    loss = eenets([certain], [one], logits(0.9), torch.tensor([0]), (0.5, 1.0), weight=0.0, every_road=False)
    assert 20 < float(loss) < 40


def test_exclusion_weighs_the_true_class_against_all_others_together() -> None:
    """Three classes, the first is true: 4 (3 - 1) = 8 times its miss, and the two false alarms, over three."""
    raw = torch.tensor([[0.5, -1.0, 2.0]])
    expected = (8 * log(1 + exp(-0.5)) + log(1 + exp(-1.0)) + log(1 + exp(2.0))) / 3
    assert float(class_exclusion(raw, torch.tensor([0]))) == pytest.approx(expected, rel=1e-5)


def test_distillation_is_the_divergence_from_the_end_at_the_temperature() -> None:
    """At temperature 2, odds of 16 : 1 are odds of 4 : 1."""
    found = distillation(torch.zeros(1, 2), torch.tensor([[log(16.0), 0.0]]), 2.0)
    expected = 0.8 * log(0.8 / 0.5) + 0.2 * log(0.2 / 0.5)
    assert float(found) == pytest.approx(4 * expected, rel=1e-5)


def test_a_branch_that_says_what_the_end_says_has_nothing_to_distil() -> None:
    said = torch.randn(5, 4)
    assert float(distillation(said + 3.0, said, 3.0)) == pytest.approx(0.0, abs=1e-6)
