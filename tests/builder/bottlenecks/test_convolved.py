"""Encoders and decoders, before anything is trained: they begin as the best linear ones.

# N samples, C channels, H height, W width, T tokens, D their width
"""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from offramp.errors import ModelError
from offramp_builder.bottlenecks.catalog import BOTTLENECK_KINDS
from offramp_builder.bottlenecks.convolved import convolved
from offramp_builder.bottlenecks.kind import Place
from offramp_builder.bottlenecks.layers import Form, folded, macs_of
from offramp_builder.bottlenecks.quantise import Rate, at_rate


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


FORMS = {
    "picture": Form(shape=(6, 16, 16)),
    "odd sides": Form(shape=(6, 7, 9)),
    "signal": Form(shape=(8, 50)),
    "tokens": Form(shape=(17, 24), tokens=True),
    "flat": Form(shape=(40,)),
}


def smooth(form: Form, count: int = 64) -> Tensor:
    """Features of few dimensions, which a short code can say."""
    torch.manual_seed(0)
    values = torch.randn(count, 5) @ torch.randn(5, form.channels * form.places) / 5
    return form.outward()(values.view(count, form.channels, *form.sides)).relu()


def place(form: Form, *, allowed: int = 10**9, channels: int | None = None, stride: int | None = None) -> Place:
    return Place(
        name="here",
        form=form,
        positive=True,
        allowed=allowed,
        sample=smooth(form),
        channels=channels,
        stride=stride,
        slopes=lambda: torch.ones_like(smooth(form)),
        rank=lambda: torch.arange(form.channels).float(),
    )


@pytest.mark.parametrize("kind", BOTTLENECK_KINDS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_what_is_decoded_has_the_shape_of_the_feature(form: Form, kind: str) -> None:
    feature = smooth(form)
    design = BOTTLENECK_KINDS[kind].design(place(form, channels=4))
    code = design.encoder.eval()(feature)
    assert code.shape[:2] == (len(feature), 4)
    assert 0 <= float(code.min()) <= float(code.max()) <= 1
    assert design.decoder.eval()(code).shape == feature.shape


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_more_channels_say_more_before_anything_is_learned(form: Form) -> None:
    feature, design = smooth(form), convolved(place(form, channels=8))
    code = design.encoder.eval()(feature)
    lost = [float((design.decoder.eval()(at_rate(code, Rate(sent, 8))) - feature).var()) for sent in (1, 2, 4, 8)]
    assert lost == sorted(lost, reverse=True)
    assert lost[-1] < 0.8 * float(feature.var())


def test_folding_changes_no_answer() -> None:
    feature, design = smooth(FORMS["picture"]), convolved(place(FORMS["picture"]))
    for part in (design.encoder, design.decoder):
        part.train()
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    design.decoder(design.encoder(feature))  # statistics that differ from those of the beginning
    code = design.encoder.eval()(feature)
    assert torch.allclose(folded(design.encoder)(feature), code, atol=1e-5)
    assert torch.allclose(folded(design.decoder)(code), design.decoder.eval()(code), atol=1e-5)


def test_encoders_are_as_wide_as_is_allowed() -> None:
    form = FORMS["picture"]
    costs = [macs_of(convolved(place(form, allowed=allowed)).encoder, form.shape) for allowed in (10_000, 60_000)]
    assert costs[0] <= 10_000 < costs[1] <= 60_000


def test_an_encoder_that_costs_too_much_is_refused() -> None:
    with pytest.raises(
        ModelError, match="an encoder at here takes at least .* a tenth of what comes before is 100; take"
    ):
        convolved(place(FORMS["picture"], allowed=100))


def test_a_code_as_large_as_the_feature_is_refused() -> None:
    with pytest.raises(ModelError, match="have 6 values: a code of 7 channels saves nothing"):
        convolved(place(FORMS["picture"], channels=7, stride=1))


def test_a_stride_needs_neighbours() -> None:
    with pytest.raises(ModelError, match="has no neighbouring places"):
        convolved(place(FORMS["tokens"], stride=2))
