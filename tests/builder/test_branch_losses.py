"""What branches are fitted to, against the definitions by hand."""

from math import exp, log

import pytest
import torch

from offramp_builder.branches.losses import (
    balanced,
    class_exclusion,
    eenets,
    eenets_shares,
    eenets_tagged,
    eenets_tags,
)
from offramp_builder.training.distilling import distillation

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


def test_eenets_third_loss_shares_samples_out_by_mean_confidence() -> None:
    own = [torch.tensor([sure]) for sure in (*SURE, 0.6)]
    found = eenets_shares([logits(one) for one in ANSWERS], own, torch.tensor([0]), COSTS, weight=WEIGHT)
    spent = [-log(answer) + 2 * cost for answer, cost in zip(ANSWERS, COSTS, strict=True)]
    assert float(found) == pytest.approx((0.3 * spent[0] + 0.6 * spent[1] + 0.6 * spent[2]) / 1.5, rel=1e-5)


def test_eenets_fourth_loss_tags_each_sample_with_the_exit_that_serves_it_best() -> None:
    """The second sample is answered well by the second exit alone; the third by nobody, so the cheapest will do."""
    first, second = (torch.tensor(one) for one in ([0.9, 0.1, 0.5], [0.9, 0.9, 0.5]))
    both = [torch.stack([one, 1 - one], 1).log() for one in (first, second)]
    assert eenets_tags(both, torch.tensor([0, 0, 0]), (0.2, 0.7), weight=1.0).tolist() == [0, 1, 0]


def test_eenets_fourth_loss_answers_at_the_tag_and_teaches_confidences_where_it_is() -> None:
    found = eenets_tagged(
        [logits(one) for one in ANSWERS[:2]],
        [torch.tensor([sure]) for sure in SURE],
        torch.tensor([0]),
        torch.tensor([1]),
        COSTS[:2],
        weight=WEIGHT,
    )
    assert float(found) == pytest.approx(-log(0.8) + 2 * 0.5 - (log(0.7) + log(0.6)) / 2, rel=1e-5)


def test_the_few_that_are_wanted_count_as_much_as_all_the_others() -> None:
    own = torch.tensor([0.2, 0.9, 0.9, 0.9])
    wanted = torch.tensor([True, False, False, False])
    assert float(balanced(own, wanted)) == pytest.approx(-(0.5 * log(0.2) + 0.5 * log(0.1)), rel=1e-4)


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
