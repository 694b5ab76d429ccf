"""Bottlenecks that begin with the network that they are for."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from offramp.errors import ModelError, SettingsError
from offramp_builder.bottlenecks.choosing import answers, codes
from offramp_builder.bottlenecks.quantise import Rate, at_rate
from offramp_builder.bottlenecks.settings import BottleneckSettings
from offramp_builder.bottlenecks.training import begin, train_bottlenecks
from offramp_builder.capture import Captured, capture
from offramp_builder.joint.narrowing import Narrowing
from offramp_builder.joint.settings import JointSettings
from offramp_builder.joint.training import train_jointly
from offramp_builder.preprocess import preprocessor
from offramp_builder.recipe import Recipe
from offramp_builder.zoo import ZOO
from tests.builder.learnable import SIDE
from tests.builder.trunks import squares_parts

CHANCE = 0.25
RATE = Rate(8, 2)


def untrained() -> Captured:
    torch.manual_seed(0)
    sample = squares_parts().train.sample
    return capture(ZOO["resnet8"].factory(4, (SIDE, SIDE, 3)), sample, preprocessor(sample))


def settings(kind: str = "nested", *, together: float = 0.5, leaves: str = "") -> BottleneckSettings:
    return BottleneckSettings(
        at=f"{leaves}layer2:{kind}:8",
        epochs=1,
        batch=20,
        rate=1e-3,
        shift=0.0,
        flip=False,
        bits=(2,),
        together=together,
    )


def learned(
    kind: str = "nested",
    *,
    together: float = 0.5,
    leaves: str = "",
    checkpoint: Path | None = None,
    watch: object = None,
) -> tuple[Captured, Narrowing]:
    captured = untrained()
    wanted = settings(kind, together=together, leaves=leaves)
    narrowing = Narrowing(captured, begin(captured, wanted, squares_parts()), wanted)
    train_jointly(
        captured,
        [captured.position("layer2")],
        "linear",
        squares_parts().train,
        JointSettings(loss="distill", epochs=4, batch=32, shift=0.0, optimizer="muon", rate=0.03),
        trained=False,
        narrowing=narrowing,
        checkpoint=checkpoint,
        watch=watch,  # type: ignore[arg-type]
    )
    sample = squares_parts().train.sample
    return capture(captured.road.model, sample, captured.road.preprocess), narrowing


def weights(narrowing: Narrowing) -> torch.Tensor:
    return torch.cat([value.double().flatten() for value in narrowing.state_dict().values()])


@pytest.mark.parametrize(("leaves", "kind"), [("", "nested"), ("", "entropic"), ("layer1>", "nested")])
def test_network_and_bottleneck_learn_together_from_nothing(leaves: str, kind: str) -> None:
    """And go on behind the network as it has become, from there."""
    captured, narrowing = learned(kind, leaves=leaves)
    begun = [*narrowing.begun]
    (one,) = train_bottlenecks(captured, settings(kind, leaves=leaves), squares_parts(), begun=begun)
    test = squares_parts().test
    said_NK = answers(captured, one.bottleneck, at_rate(codes(captured, one.bottleneck, test), RATE))
    assert float((said_NK.argmax(1) == torch.from_numpy(test.truth_N)).float().mean()) > 3 * CHANCE


def test_the_network_learns_from_what_its_bottleneck_cannot_say() -> None:
    """A share of the gradients changes what the network is."""
    (one, _), (other, _) = learned(together=0.05), learned(together=0.5)
    assert not torch.equal(*(torch.cat([p.flatten() for p in net.road.parameters()]) for net in (one, other)))


class Interrupting:
    """Ctrl-C in the third epoch."""

    def step(self, *, epoch: float, epochs: int, loss: float, accuracy: float) -> None:
        if epoch > 2.4:
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_to_the_same_bottleneck(tmp_path: Path) -> None:
    whole = weights(learned()[1])
    with pytest.raises(KeyboardInterrupt):
        learned(checkpoint=tmp_path / "half.pt", watch=Interrupting())
    assert torch.allclose(weights(learned(checkpoint=tmp_path / "half.pt")[1]), whole, atol=1e-6)


def test_a_bottleneck_that_was_never_here_cannot_go_on() -> None:
    captured, narrowing = learned()
    other = replace(settings(), at="layer2:nested:4")
    with pytest.raises(ModelError, match="does not fit the bottleneck nested"):
        train_bottlenecks(captured, other, squares_parts(), begun=narrowing.begun)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"together": -1.0}, "must be 0 or more"),
        ({"together": 0.5, "weights": Path("w.pt")}, "leave one of them out"),
        ({"together": 0.5, "at": "layer2:attention"}, "attention ranks the channels of a network that stands still"),
    ],
)
def test_what_cannot_learn_together_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        BottleneckSettings(**({"at": "layer2"} | changed))  # type: ignore[arg-type]


def test_without_a_joint_training_nothing_learns_together() -> None:
    with pytest.raises(SettingsError, match="give --joint LOSS"):
        Recipe(model="zoo:resnet8", data="folder:x", weights=Path("w.pt"), bottleneck=settings())
