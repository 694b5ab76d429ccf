"""The zoo: every network is what its entry says, and takes the weights that others publish."""

import pytest
import torch

from offramp.errors import ModelError
from offramp_builder.capture import random_samples
from offramp_builder.preprocess import preprocessor
from offramp_builder.zoo import ZOO

# (parameters, millions of multiply-accumulates at the entry's own size): torchvision's, or the papers', with 1000 or 10
# classes.
PUBLISHED = {
    "resnet20": (272_474, 40.8),
    "resnet18": (11_689_512, 1814.1),
    "mobilenet_v2": (3_504_872, 300.8),
}


@pytest.mark.parametrize("name", [name for name in ZOO if name not in ("resnet44", "resnet56", "resnet110")])
def test_a_network_answers_logits_for_the_sample_it_names(name: str) -> None:
    entry = ZOO[name]
    network = entry.factory(7, entry.sample.shape).eval()
    with torch.inference_mode():
        logits_NK = network(preprocessor(entry.sample)(random_samples(entry.sample, 2)))
    assert logits_NK.shape == (2, 7)
    assert torch.isfinite(logits_NK).all()


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_has_as_many_parameters_as_the_published_one(name: str) -> None:
    entry = ZOO[name]
    network = entry.factory(entry.classes, entry.sample.shape)
    assert sum(parameter.numel() for parameter in network.parameters()) == PUBLISHED[name][0]


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        (
            "resnet18",
            ["conv1.weight", "bn1.bias", "layer2.0.downsample.0.weight", "layer4.1.bn2.running_var", "fc.bias"],
        ),
        (
            "mobilenet_v2",
            ["features.0.0.weight", "features.1.conv.1.weight", "features.18.1.bias", "classifier.1.bias"],
        ),
    ],
)
def test_parameters_are_named_as_torchvision_names_them(name: str, keys: list[str]) -> None:
    state = ZOO[name].factory(1000, (224, 224, 3)).state_dict()
    assert [key for key in keys if key not in state] == []


def test_a_tone_lights_up_its_own_mel_band() -> None:
    front = ZOO["ds_cnn"].factory(2, (16_000,)).get_submodule("front")
    time = torch.arange(16_000) / 16_000
    loudest = [
        int(front(0.5 * torch.sin(2 * torch.pi * hertz * time)[None])[0, 0].mean(0).argmax())
        for hertz in (200, 1000, 4000)
    ]
    assert loudest == sorted(set(loudest))
    # Mel bands of 2595 log10(1 + f / 700), 40 of them between 20 and 7,600 Hz.
    assert abs(loudest[1] - 14) <= 1


@pytest.mark.parametrize(("name", "shape"), [("ds_cnn", (500,)), ("ecg_cnn", (4, 64)), ("vit_small", (30, 30, 3))])
def test_a_sample_that_a_network_cannot_take_is_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=f"{name} takes"):
        ZOO[name].factory(5, shape)
