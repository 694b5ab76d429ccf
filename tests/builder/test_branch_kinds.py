"""Every kind of branch: it learns, ships, and answers as its torch module does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from offramp.bundle.manifest import SCORES
from offramp.bundle.store import Bundle, open_bundle
from offramp.errors import SettingsError
from offramp.records import Array
from offramp.runtime.torch_backend import TorchRuntime
from offramp_builder.branches.catalog import BRANCH_KINDS
from offramp_builder.branches.eenets import EENetsBranch
from offramp_builder.branches.kind import Answer, Lesson, logits_of
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.branches.supervising import throw_away_classifiers
from offramp_builder.branches.training import TrainedExits, train_branches
from offramp_builder.bundle import branch_macs, write_bundle
from offramp_builder.features import run_to
from offramp_builder.scores import ScoredBranch
from offramp_builder.segments import Branch
from offramp_builder.temperature import negative_log_likelihood
from tests.builder.sessions import Outputs, open_segment
from tests.builder.trunks import squares_parts, squares_trunk

CHANCE = 0.25
OWN = ("eenets", "exclusion", "ensemble", "gate", "gate-conv")
KINDS = list(BRANCH_KINDS)


def fitted(kind: str, *, cuts: tuple[str, ...] = ("layer2",), **settings: Any) -> TrainedExits:
    parts, trunk = squares_parts(), squares_trunk()
    return train_branches(
        trunk,
        [trunk.position(name) for name in cuts],
        kind,
        train=parts.train,
        calibration=parts.calibration,
        settings=BranchSettings(**settings),
    )


def answer(branch: Branch) -> Answer:
    """What a branch says about the calibration samples."""
    with torch.no_grad():
        said: Answer = branch.network(*feature_of(branch))
    return said


def feature_of(branch: Branch) -> tuple[torch.Tensor, ...]:
    return run_to(squares_trunk(), [branch.position], samples())[branch.position]


def samples() -> torch.Tensor:
    return torch.from_numpy(squares_parts().calibration.samples)


def truth() -> torch.Tensor:
    return torch.from_numpy(squares_parts().calibration.truth_N)


@pytest.fixture(scope="module")
def trained() -> dict[str, Branch]:
    """A trained branch of every kind, each at a cut of its own."""
    trunk = squares_trunk()
    places = [cut.name for cut in trunk.cuts[1:-1] if len(cut.tensors) == 1 and len(cut.tensors[0].spec.shape) == 3]
    kinds = sorted(KINDS, key=lambda kind: "conv" not in kind)  # the first features are large enough for any kind
    return {
        kind: fitted(kind, cuts=(place,)).branches[0] for kind, place in zip(kinds, places[: len(kinds)], strict=True)
    }


@pytest.fixture(scope="module")
def shipped(trained: dict[str, Branch], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """All of them in one bundle, so that they are exported once."""
    trunk = squares_trunk()
    path: Path = tmp_path_factory.mktemp("bundles") / "kinds"
    kept = sorted({0, trunk.end, *(branch.position for branch in trained.values())})
    write_bundle(path, trunk, kept, name="kinds", labels=squares_parts().train.labels, branches=list(trained.values()))
    return open_bundle(path)


def segment_says(bundle: Bundle, kind: str, batch: Array) -> Outputs:
    cut = next(spec.cut for spec in bundle.manifest.branches if spec.kind == kind)
    return open_segment(bundle, 0, cut, branch=True)(batch)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_on_a_frozen_trunk(kind: str) -> None:
    (branch,) = fitted(kind).branches
    assert branch.accuracy is not None
    assert branch.accuracy > 2 * CHANCE


@pytest.mark.parametrize("kind", KINDS)
def test_a_segment_answers_as_its_torch_module_does(kind: str, trained: dict[str, Branch], shipped: Bundle) -> None:
    branch = trained[kind]
    scored = ScoredBranch(branch.network, 4, branch.temperature, own=kind in OWN)
    with torch.no_grad():
        logits_NK, scores_NS = scored(*feature_of(branch))
    said = segment_says(shipped, kind, samples().numpy())
    np.testing.assert_allclose(said["logits"], logits_NK.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(said["scores"], scores_NS.numpy(), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_torch_runtime_runs_it_as_onnx_runtime_does(kind: str, shipped: Bundle) -> None:
    cut = next(spec.cut for spec in shipped.manifest.branches if spec.kind == kind)
    with TorchRuntime(shipped) as runtime:
        ours = runtime.open(0, cut, branch=True).run((samples().numpy(),))
    assert ours.scores_NS is not None
    theirs = segment_says(shipped, kind, samples().numpy())
    np.testing.assert_allclose(ours.scores_NS, theirs["scores"], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_lie_between_0_and_1(kind: str, shipped: Bundle) -> None:
    scores_NS = segment_says(shipped, kind, samples().numpy())["scores"]
    assert ((scores_NS >= 0) & (scores_NS <= 1)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_only_kinds_with_a_confidence_of_their_own_say_one(kind: str, shipped: Bundle) -> None:
    scores_NS = segment_says(shipped, kind, samples().numpy())["scores"]
    same = np.allclose(scores_NS[:, SCORES.index("own")], scores_NS[:, SCORES.index("confidence")])
    assert same == (kind not in OWN)


@pytest.mark.parametrize("kind", KINDS)
def test_temperatures_make_the_logits_of_every_kind_mean_more(kind: str, trained: dict[str, Branch]) -> None:
    logits_NK, truth_N = logits_of(answer(trained[kind])).numpy(), truth().numpy()
    raw, calibrated = (negative_log_likelihood(logits_NK, truth_N, one) for one in (1.0, trained[kind].temperature))
    assert calibrated <= raw + 1e-9


def test_operations_are_those_of_the_definition(trained: dict[str, Branch], shipped: Bundle) -> None:
    """K = 4 classes; C values after pooling."""
    pooled = {kind: branch.network.get_submodule("0")(feature_of(branch)[0]) for kind, branch in trained.items()}
    values = {kind: tensor.shape[1] for kind, tensor in pooled.items()}
    found = {spec.kind: spec.macs for spec in shipped.manifest.branches}
    channels, height, width = pooled["conv"].shape[1:]
    assert found["linear"] == 4 * values["linear"]
    assert found["sidenet"] == 64 * values["sidenet"] + 64 * 4
    assert found["eenets"] == (4 + 1) * values["eenets"]
    assert found["exclusion"] == 4 * values["exclusion"]
    assert found["ensemble"] == 4 * 4 * values["ensemble"]
    assert found["conv"] == 64 * 9 * channels * -(-height // 2) * -(-width // 2) + 64 * 4
    channels, height, width = pooled["conv2"].shape[1:]
    middle, quarter = max(32, channels), -(-height // 4) * -(-width // 4)
    assert found["conv2"] == 9 * middle * (channels * -(-height // 2) * -(-width // 2) + 64 * quarter) + 64 * 4
    eighth = -(-height // 8) * -(-width // 8)
    assert found["conv3"] == found["conv2"] + 9 * 64 * 64 * eighth
    assert found["gate"] == 4 * values["gate"] + 4


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_supervise_a_trunk_by_its_logits(kind: str) -> None:
    trunk = squares_trunk()
    position = trunk.position("layer2")
    feature = run_to(trunk, [position], samples())[position]
    supervised = throw_away_classifiers(trunk, [position], kind)
    assert supervised
    assert all(one.classifier(*feature).shape == (len(samples()), 4) for one in supervised)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_fit_equal_branches(kind: str) -> None:
    one, again = (fitted(kind).branches[0] for _ in range(2))
    assert torch.equal(logits_of(answer(one)), logits_of(answer(again)))


@pytest.mark.parametrize("kind", KINDS)
def test_distilled_branches_come_nearer_to_what_the_end_says(kind: str) -> None:
    trunk = squares_trunk()
    end_NK = torch.log_softmax(run_to(trunk, [trunk.end], samples())[trunk.end][0], 1)

    def distance(distill: float) -> float:
        branch = fitted(kind, distill=distill, distill_temperature=1.0).branches[0]
        said_NK = torch.log_softmax(logits_of(answer(branch)), 1)
        return float(torch.nn.functional.kl_div(said_NK, end_NK, reduction="batchmean", log_target=True))

    assert distance(0.9) < distance(0.0)


def test_eenets_branches_are_surer_the_more_operations_are_worth() -> None:
    def sureness(cost_weight: float) -> float:
        first, _ = fitted("eenets", cuts=("layer1", "layer2"), cost_weight=cost_weight).branches
        return float(answer(first)[1].mean())

    assert sureness(0.0) + 0.1 < sureness(20.0)


def test_eenets_branches_are_surer_where_they_are_right() -> None:
    logits_NK, own_N = answer(fitted("eenets", cuts=("layer1",), cost_weight=0.1).branches[0])
    right_N = logits_NK.argmax(1) == truth()
    assert own_N[right_N].mean() > own_N[~right_N].mean()


def test_eenets_charges_every_branch_that_was_asked_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Sequence[float]] = []
    joint_loss = EENetsBranch.joint_loss

    def listen(self: EENetsBranch, answers: Sequence[Answer], lesson: Lesson, costs: Sequence[float]) -> torch.Tensor:
        heard.append(costs)
        return joint_loss(self, answers, lesson, costs)

    monkeypatch.setattr(EENetsBranch, "joint_loss", listen)
    branches = fitted("eenets", cuts=("layer1", "layer2")).branches
    trunk = squares_trunk()
    first, second = (branch_macs(branch, feature_of(branch)) for branch in branches)
    reached = [trunk.cuts[branch.position].macs for branch in branches]
    executed = [reached[0] + first, reached[1] + first + second, trunk.macs + first + second]
    assert heard[0] == pytest.approx([macs / trunk.macs for macs in executed])


def test_gates_open_wider_the_more_operations_are_worth() -> None:
    def openness(cost_weight: float) -> float:
        first, _ = fitted("gate", cuts=("layer1", "layer2"), cost_weight=cost_weight).branches
        return float((answer(first)[1] >= 0.5).float().mean())

    assert openness(0.0) + 0.1 < openness(20.0)


def test_gates_open_wider_for_samples_that_their_branch_is_surer_of() -> None:
    logits_NK, own_N = answer(fitted("gate", cuts=("layer1",), cost_weight=0.1).branches[0])
    sureness_N = torch.softmax(logits_NK, 1).amax(1)
    surer_N = sureness_N > sureness_N.median()
    assert own_N[surer_N].mean() > own_N[~surer_N].mean() + 0.05


def test_the_confidence_of_exclusion_is_its_largest_sigmoid(trained: dict[str, Branch]) -> None:
    logits_NK, own_N = answer(trained["exclusion"])
    assert torch.allclose(own_N, torch.sigmoid(logits_NK).amax(1))


def test_members_of_an_ensemble_grant_a_class_no_more_than_their_mean_does(trained: dict[str, Branch]) -> None:
    logits_NK, own_N = answer(trained["ensemble"])
    largest_N = logits_NK.exp().amax(1)
    assert (own_N <= largest_N + 1e-6).all()
    assert torch.allclose(logits_NK.exp().sum(1), torch.ones(len(own_N)), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"distill": 1.5}, "distill 1.5 is a share"),
        ({"distill_temperature": 0.0}, "must be a positive number"),
        ({"cost_weight": -1.0}, "must be 0 or more"),
        ({"eenets_loss": "v3"}, "there is no EENets loss 'v3'"),
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        BranchSettings(**settings)
