"""Bottlenecks learn on a small network, in seconds.

# N samples, C channels of the code
"""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from offramp.errors import InputError, ModelError
from offramp_builder.bottlenecks import training
from offramp_builder.bottlenecks.choosing import answers, codes
from offramp_builder.bottlenecks.lessons import lessons
from offramp_builder.bottlenecks.quantise import Rate, at_rate
from offramp_builder.bottlenecks.settings import KINDS, BottleneckSettings
from offramp_builder.bottlenecks.training import TrainedBottleneck, train_bottlenecks
from offramp_builder.training.objective import Batch
from tests.builder.trunks import squares_parts, squares_trunk

CHANCE = 0.25


def settings(kind: str = "nested", **changed: Any) -> BottleneckSettings:
    given: dict[str, Any] = {"epochs": 6, "batch": 20, "rate": 5e-3, "shift": 0.0, "flip": False, "distill": 0.3}
    return BottleneckSettings(at=f"layer2:{kind}:8", **(given | changed))


@cache
def trained(kind: str) -> TrainedBottleneck:
    (one,) = train_bottlenecks(squares_trunk(), settings(kind), squares_parts())
    return one


def accuracy(one: TrainedBottleneck, rate: Rate) -> float:
    """On samples that it has not seen."""
    test = squares_parts().test
    code = codes(squares_trunk(), one.bottleneck, test)
    said_NK = answers(squares_trunk(), one.bottleneck, at_rate(code, rate))
    return float((said_NK.argmax(1) == torch.from_numpy(test.truth_N)).float().mean())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_to_say_what_the_network_says(kind: str) -> None:
    assert accuracy(trained(kind), Rate(8, 4)) > 3 * CHANCE


def test_one_set_of_weights_serves_many_rates() -> None:
    assert min(accuracy(trained("nested"), Rate(*rate)) for rate in ((8, 8), (8, 2), (2, 8), (2, 4))) > 2 * CHANCE


def test_codes_lie_between_0_and_1() -> None:
    for kind in KINDS:
        code = codes(squares_trunk(), trained(kind).bottleneck, squares_parts().test)
        assert float(code.min()) >= 0
        assert float(code.max()) <= 1


def test_the_network_itself_learns_nothing() -> None:
    before = torch.cat([value.detach().flatten().double() for value in squares_trunk().road.state_dict().values()])
    train_bottlenecks(squares_trunk(), settings(epochs=1), squares_parts())
    after = torch.cat([value.detach().flatten().double() for value in squares_trunk().road.state_dict().values()])
    assert torch.equal(before, after)


def test_a_byte_that_is_worth_more_makes_payloads_smaller() -> None:
    found = []
    for worth in (0.0, 3.0):
        (one,) = train_bottlenecks(squares_trunk(), settings("entropic", byte_weight=worth), squares_parts())
        code = at_rate(codes(squares_trunk(), one.bottleneck, squares_parts().test), Rate(8, 4))
        share = torch.bincount((code * 15).round().long().flatten(), minlength=16).double() / code.numel()
        found.append(float(-(share * share.clamp_min(1e-9).log2()).sum()))
    assert found[1] < 0.8 * found[0]


def test_two_at_one_place_learn_from_the_same_kept_features(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def counted(*given: Any, **named: Any) -> Any:
        kept.append(given[1])
        return lessons(*given, **named)

    monkeypatch.setattr(training, "lessons", counted)
    two = replace(settings(epochs=1), at="layer2:nested:8,layer2:nested:4")
    assert len(train_bottlenecks(squares_trunk(), two, squares_parts())) == 2
    assert kept == [squares_trunk().position("layer2")]


class Interrupting:
    """Ctrl-C in the second epoch."""

    def step(self, *, epoch: float, epochs: int, loss: float, accuracy: float) -> None:
        if epoch > 1.4:
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    def run(*, watch: Any = None, waits: bool = True) -> TrainedBottleneck:
        (one,) = train_bottlenecks(
            squares_trunk(),
            settings(epochs=2),
            squares_parts(),
            waiting=lambda step: tmp_path / f"{step}.pt" if waits else None,
            watch=watch,
        )
        return one

    whole = run(waits=False)
    with pytest.raises(KeyboardInterrupt):
        run(watch=Interrupting())
    assert [path.name for path in tmp_path.iterdir()] == ["nested-together.pt"]
    resumed = run()
    code = codes(squares_trunk(), whole.bottleneck, squares_parts().test)
    assert torch.allclose(codes(squares_trunk(), resumed.bottleneck, squares_parts().test), code, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_bottlenecks_are_read_as_they_were(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "narrow.pt"
    (before,) = train_bottlenecks(squares_trunk(), settings(kind, epochs=1, save=place), squares_parts())
    (after,) = train_bottlenecks(squares_trunk(), settings(kind, weights=place), squares_parts())
    assert accuracy(before, Rate(8, 4)) == accuracy(after, Rate(8, 4))
    assert before.judged == after.judged


def test_weights_of_another_bottleneck_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "narrow.pt"
    train_bottlenecks(squares_trunk(), settings(epochs=1, save=place), squares_parts())
    with pytest.raises(ModelError, match=r"narrow.pt does not fit the bottleneck nested"):
        train_bottlenecks(squares_trunk(), BottleneckSettings(at="layer2:nested:4", weights=place), squares_parts())


def test_where_features_exceed_memory_the_network_says_them_anew() -> None:
    """Without augmentation both say the same."""
    captured, data = squares_trunk(), squares_parts().train
    position = captured.position("layer2")
    said = []
    for most in (1 << 30, 0):
        learned = lessons(captured, position, data, settings(), progress=lambda *_: None, most=most)
        rows_N = torch.arange(7)
        feature = learned.head(torch.from_numpy(learned.data.samples[:7]))
        final_NK = learned.final(Batch(truth_N=rows_N, rows_N=rows_N, epoch=0))
        said.append((feature, final_NK))
    (kept, kept_NK), (anew, anew_NK) = said
    assert torch.allclose(kept, anew, atol=1e-2)
    assert torch.allclose(kept_NK, anew_NK, atol=1e-5)


def test_a_place_to_save_in_is_looked_for_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder .*missing to save bottlenecks in; make it first"):
        train_bottlenecks(squares_trunk(), settings(save=tmp_path / "missing" / "narrow.pt"), squares_parts())


def test_bottlenecks_that_are_not_there_are_missed_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"there are no bottlenecks at .*gone\.pt; give a file that --save-bottlenecks"
    ):
        train_bottlenecks(squares_trunk(), settings(weights=tmp_path / "gone.pt"), squares_parts())


def test_without_views_nothing_is_kept() -> None:
    trunk, data = squares_trunk(), squares_parts().train
    position = trunk.position("layer2")
    assert lessons(trunk, position, data, settings(views=0, shift=0.1), progress=lambda *_: None).data is data


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("layer9", "there is no cut 'layer9'"),
        ("input", "no bottleneck can be at input.*take one of preprocess"),
        ("output", "no bottleneck can be at output"),
        ("layer1.0.relu", "no bottleneck can be at layer1.0.relu, where no plan splits"),
        ("input>layer2", "no bottleneck can leave the network at input.*take one of preprocess"),
        ("layer1.0.relu>layer2", "no bottleneck can leave the network at layer1.0.relu, where no plan splits"),
        ("layer2>layer1", "leaves the network past the cut .*write the earlier one first, as in layer1>layer2"),
        ("layer2:attention:64", "has 32 channels, of which 64 cannot be sent"),
        ("conv1:nested:16x1", "takes at least .* a tenth of what comes before"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(at: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_bottlenecks(squares_trunk(), BottleneckSettings(at=at, epochs=1), squares_parts())
