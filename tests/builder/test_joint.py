"""A trunk and its branches, trained together."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from offramp.data import Parts, split
from offramp.errors import InputError, ModelError, SettingsError
from offramp_builder.branches.kind import logits_of
from offramp_builder.branches.training import TrainedExits, calibrated, fitting_variants
from offramp_builder.capture import Captured, capture
from offramp_builder.features import run_to
from offramp_builder.joint.catalog import JOINT_LOSSES
from offramp_builder.joint.losses import EENetsLoss, Heard, JointLoss, Setting
from offramp_builder.joint.settings import LOSSES, VERSIONS, JointSettings
from offramp_builder.joint.training import train_jointly
from offramp_builder.preprocess import preprocessor
from offramp_builder.pretrained import LearnedBranch
from offramp_builder.training.objective import Batch
from tests.builder.learnable import bright_squares

CHANCE = 0.25
KINDS = {"branchynet": "linear", "eenets": "eenets", "exclusion": "exclusion", "distill": "conv"}


class Small(nn.Module):
    """Two places for branches: where a module ends, and where a function does."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Conv2d(8, 16, 3, 1, 1)
        self.third = nn.Conv2d(16, 16, 3, 2, 1)
        self.last = nn.Linear(16, 4)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        feature = functional.relu(self.second(self.stem(image_NCHW)))
        logits: Tensor = self.last(functional.relu(self.third(feature)).mean((2, 3)))
        return logits


@cache
def parts() -> Parts:
    return split(bright_squares(600, split=True))


@cache
def untrained() -> tuple[Captured, dict[str, Tensor]]:
    """A network that was captured once, and the weights that it began with."""
    torch.manual_seed(0)
    sample = parts().train.sample
    captured = capture(Small(), sample, preprocessor(sample))
    return captured, {name: value.clone() for name, value in captured.road.state_dict().items()}


def trunk() -> Captured:
    """Fresh again; its graph shares its weights, so whoever trains it trains the graph."""
    captured, beginning = untrained()
    captured.road.load_state_dict(beginning)
    captured.road.eval()
    return captured


def places(captured: Captured) -> list[int]:
    return [captured.position(name) for name in ("stem", "relu")]


def settings(loss: str, **changed: Any) -> JointSettings:
    given: dict[str, Any] = {"epochs": 6, "batch": 20, "optimizer": "adamw", "rate": 1e-2, "shift": 0.0}
    return JointSettings(loss=loss, **(given | changed))


def together(
    loss: str, *, captured: Captured | None = None, checkpoint: Path | None = None, watch: Any = None, **changed: Any
) -> tuple[Captured, TrainedExits]:
    captured = captured or trunk()
    trained = train_jointly(
        captured,
        places(captured),
        KINDS[loss],
        parts().train,
        settings(loss, **changed),
        trained=False,
        checkpoint=checkpoint,
        watch=watch,
    )
    return captured, calibrated(captured, trained.networks, KINDS[loss], parts().calibration)


def weights(captured: Captured) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in captured.road.parameters()])


CASES = [(loss, {}) for loss in LOSSES if loss != "eenets"]
CASES += [("eenets", {"version": version, "cost_weight": 0.1}) for version in VERSIONS if version != "v4"]
CASES += [("eenets", {"version": version, "answers_first": 3, "cost_weight": 0.1}) for version in ("v1", "v4")]
CASES += [("distill", {"features": 0.1})]


@pytest.mark.parametrize(("loss", "changed"), CASES, ids=str)
def test_exits_learn_by_every_loss(loss: str, changed: dict[str, Any]) -> None:
    """Whatever the mixtures v1 and v3 of EENets let nobody reach, they need not teach."""
    accuracies = said_right(loss, **changed)
    assert max(accuracies) > 3 * CHANCE
    if changed.get("version") not in ("v1", "v3"):
        assert min(accuracies) > 1.5 * CHANCE


def test_without_a_first_stage_v4_of_eenets_teaches_the_exit_that_seemed_best_at_first() -> None:
    """A sample is answered at its tag alone, and the exit that was taught is where its next tag is."""
    end, first, _ = said_right("eenets", version="v4", cost_weight=0.1)
    assert first > 2 * CHANCE > end


def said_right(loss: str, **changed: Any) -> list[float]:
    """Accuracy of the end, and of each branch."""
    _, exits = together(loss, **changed)
    return [exits.final_accuracy or 0.0, *(branch.accuracy or 0.0 for branch in exits.branches)]


def test_the_trunk_learns_too_and_is_whole_again_afterwards() -> None:
    before = weights(trunk())
    after, _ = together("branchynet", epochs=1)
    assert not torch.equal(before, weights(after))
    assert not any(module._forward_hooks or module.training for module in after.road.modules())


def test_what_ships_is_what_was_trained() -> None:
    """Standardisation is folded with the statistics of the features as they came to be."""
    captured, exits = together("branchynet")
    position = exits.branches[0].position
    feature = run_to(captured, [position], torch.from_numpy(parts().train.samples))[position][0]
    said = logits_of(exits.branches[0].network(feature))
    assert float((said.argmax(1) == torch.from_numpy(parts().train.truth_N)).float().mean()) > 1.5 * CHANCE


class Interrupting:
    """Ctrl-C after so many epochs."""

    def step(self, *, epoch: float, epochs: int, loss: float, accuracy: float) -> None:
        if epoch > 1.4:
            raise KeyboardInterrupt


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_an_interrupted_joint_training_goes_on_to_the_same_weights(version: str, tmp_path: Path) -> None:
    whole = weights(together("eenets", epochs=3, version=version)[0])
    with pytest.raises(KeyboardInterrupt):
        together("eenets", epochs=3, version=version, checkpoint=tmp_path / "half.pt", watch=Interrupting())
    resumed, _ = together("eenets", epochs=3, version=version, checkpoint=tmp_path / "half.pt")
    assert torch.allclose(weights(resumed), whole, atol=1e-6)


def test_settings_know_the_names_of_all_losses_without_torch() -> None:
    assert list(JOINT_LOSSES) == list(LOSSES)


def opened(loss: str, **changed: Any) -> JointLoss:
    """For two branches, three classes and four samples."""
    made = settings(loss, **changed)
    return JOINT_LOSSES[loss](Setting(settings=made, costs=(0.2, 0.5, 1.1), classes=3, samples=4, widths=()))


def heard(rows: list[int], sureness: list[float]) -> tuple[Heard, Batch]:
    """Both branches and the end are as sure as this of class 0, the true one: those of 0 would leave at once."""
    said_NK = torch.tensor([[one, 0.0, 0.0] for one in sureness])
    own_N = torch.full((len(rows),), 0.5)
    lazy_NK = said_NK * torch.tensor([[float(row % 2 == 0)] for row in rows])
    batch = Batch(truth_N=torch.zeros(len(rows), dtype=torch.int64), rows_N=torch.tensor(rows), epoch=0)
    return Heard(answers=[(lazy_NK, own_N), (said_NK, own_N)], final_NK=said_NK, means=[]), batch


def test_tags_belong_to_samples_in_whatever_order_they_come() -> None:
    """Samples of even rows are served well by the first branch, the others by the second."""
    loss = opened("eenets", version="v4", cost_weight=0.1)
    loss(*heard([3, 0], [5.0, 5.0]))
    loss(*heard([2, 1], [5.0, 5.0]))
    assert loss.get_buffer("tag_D").tolist() == [0, 1, 0, 1]


def test_tags_are_those_of_the_last_time_that_a_sample_was_seen() -> None:
    loss = opened("eenets", version="v4", cost_weight=0.1)
    assert isinstance(loss, EENetsLoss)
    said, batch = heard([0, 1], [5.0, 5.0])
    assert loss._tags(said, batch).tolist() == [0, 1]
    undecided, batch = heard([1, 0], [0.0, 0.0])
    assert loss._tags(undecided, batch).tolist() == [1, 0]
    assert loss._tags(undecided, batch).tolist() == [0, 0]


def test_two_stages_teach_answers_before_confidences() -> None:
    said, batch = heard([0, 1], [1.0, 2.0])
    both = opened("eenets", version="v1", answers_first=1)
    later = Batch(truth_N=batch.truth_N, rows_N=batch.rows_N, epoch=1)
    assert torch.equal(both(said, batch), opened("eenets", version="v0")(said, batch))
    assert torch.equal(both(said, later), opened("eenets", version="v1")(said, later))


def test_branchynet_weighs_branches_more_than_the_end_unless_told_otherwise() -> None:
    said, batch = heard([0, 2], [1.0, 1.0])
    each = float(functional.cross_entropy(said.final_NK, batch.truth_N))
    assert float(opened("branchynet")(said, batch)) == pytest.approx(2.3 * each, rel=1e-5)
    assert float(opened("branchynet", weights=(0.0, 1.0, 3.0))(said, batch)) == pytest.approx(4.0 * each, rel=1e-5)


def test_deeper_branches_weigh_more_in_class_exclusion() -> None:
    """One third for the first of two, one half for the second."""
    said, batch = heard([0, 2], [1.0, 1.0])
    from offramp_builder.branches.losses import class_exclusion

    each = float(class_exclusion(said.final_NK, batch.truth_N))
    end = float(functional.cross_entropy(said.final_NK, batch.truth_N))
    assert float(opened("exclusion")(said, batch)) == pytest.approx(end + each / 3 + each / 2, rel=1e-5)


def test_the_end_learns_from_labels_alone_whatever_branches_learn_from_it() -> None:
    final_NK = torch.randn(2, 3, requires_grad=True)
    said = Heard(answers=[torch.zeros(2, 3)], final_NK=final_NK, means=[])
    batch = Batch(truth_N=torch.tensor([0, 1]), rows_N=torch.tensor([0, 1]), epoch=0)
    (found,) = torch.autograd.grad(opened("distill")(said, batch), final_NK)
    (labels,) = torch.autograd.grad(functional.cross_entropy(final_NK, batch.truth_N), final_NK)
    assert torch.allclose(found, labels, atol=1e-6)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"loss": "branchy"}, "there is no joint loss 'branchy'; did you mean 'branchynet'"),
        ({"version": "v5"}, "there is no EENets loss 'v5'"),
        ({"answers_first": 6}, "leaves none of 6 epochs"),
        ({"distill": 1.5}, "distill 1.5 is a share"),
        ({"temperature": 0.0}, "must be a positive number"),
        ({"weights": (1.0, -1.0)}, "must be 0 or more"),
        ({"cost_weight": -1.0}, "must be 0 or more"),
        ({"supervise": 0.3}, "leave it out"),
        ({"epochs": 0}, "at least 1 epoch"),
    ],
)
def test_settings_without_meaning_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settings(**({"loss": "branchynet"} | changed))


@pytest.mark.parametrize(
    ("loss", "kind", "changed", "message"),
    [
        ("eenets", "linear", {}, "teaches eenets branches, not linear; take --branch-kind eenets"),
        ("branchynet", "gate", {}, "does not teach gate branches when to leave"),
        ("branchynet", "liner", {}, "did you mean 'linear'"),
        ("branchynet", "linear", {"weights": (1.0, 2.0)}, "2 weights for 2 branch.* give 3"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_the_way_out(
    loss: str, kind: str, changed: dict[str, Any], message: str
) -> None:
    captured = trunk()
    with pytest.raises(InputError, match=message):
        train_jointly(captured, places(captured), kind, parts().train, settings(loss, **changed), trained=False)


def test_variants_that_cannot_take_small_pictures_are_not_tried() -> None:
    """Class exclusion pools to quarters of a fixed size, too."""
    captured, exits = together("exclusion", epochs=2, small_first=((1, 8),))
    assert [branch.position for branch in exits.branches] == places(captured)


def test_a_branch_that_goes_on_and_cannot_take_small_pictures_is_refused() -> None:
    captured = trunk()
    begun = {
        captured.cuts[position].name: LearnedBranch(kind="exclusion", variant=2, state=quarters.head.state_dict())
        for position in places(captured)
        for quarters in fitting_variants(captured, position, "exclusion")[2:]
    }
    small = settings("exclusion", small_first=((1, 8),))
    with pytest.raises(ModelError, match=r"saved for stem takes a feature of one size alone.*leave small_first out"):
        train_jointly(captured, places(captured), "exclusion", parts().train, small, trained=True, begun=begun)


def test_no_branches_cannot_be_trained_together_with_anything() -> None:
    with pytest.raises(SettingsError, match="ask for some with --branches"):
        train_jointly(trunk(), [], "linear", parts().train, settings("branchynet"), trained=False)


class Hidden(nn.Module):
    """A function after a function: no module gives or takes what is between."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        logits: Tensor = self.last(functional.max_pool2d(functional.relu(self.first(image_NCHW)), 2).mean((2, 3)))
        return logits


def test_branches_where_no_module_is_are_refused_before_anything_is_trained() -> None:
    sample = parts().train.sample
    captured = capture(Hidden(), sample, preprocessor(sample))
    with pytest.raises(ModelError, match="relu is neither given nor taken by a module.* take .*first"):
        train_jointly(
            captured, [captured.position("relu")], "linear", parts().train, settings("branchynet"), trained=False
        )


def test_equal_seeds_train_equal_networks() -> None:
    one, again = (weights(together("branchynet", epochs=1)[0]) for _ in range(2))
    assert torch.equal(one, again)
