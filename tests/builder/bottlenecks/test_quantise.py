"""Quantisation that can be learned through is that of the codecs.

# N samples, C channels of the code, K classes
"""

import numpy as np
import pytest
import torch

from offramp.bundle.specs import TensorSpec
from offramp.codecs.affine import Affine, Grain
from offramp.codecs.packer import CODE, Crossing
from offramp_builder.bottlenecks.quantise import Histogram, Rate, Rates, at_rate, chosen_sizes, quantised, sizes
from offramp_builder.bottlenecks.settings import BITS

SHAPE = (6, 3, 5)


def codes(count: int = 64, *, seed: int = 0) -> torch.Tensor:
    """Values in [0, 1], and some on the borders between levels."""
    values = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed))
    values[0] = torch.linspace(0, 1, int(np.prod(SHAPE))).view(SHAPE)
    return values


@pytest.mark.parametrize("bits", BITS)
def test_codes_read_what_the_deployed_codec_decodes(bits: int) -> None:
    tensor = TensorSpec(shape=SHAPE, dtype="float32", low=0.0, high=1.0)
    codec = Affine(Crossing(cut=1, kind=CODE, tensors=(tensor,)), Grain(bits))
    code = codes()
    expected = np.concatenate([codec.unpack(bytes(codec.pack((one[None].numpy(),))))[0] for one in code])
    found = at_rate(code, Rate(SHAPE[0], bits)).numpy()
    assert np.abs(found - expected).max() <= 1e-6


def test_each_sample_is_sent_at_its_own_rate() -> None:
    code = codes(2)
    both = quantised(code, torch.tensor([2, 6]), torch.tensor([8, 3]))
    assert torch.equal(both[:1], at_rate(code[:1], Rate(2, 8)))
    assert torch.equal(both[1:], at_rate(code[1:], Rate(6, 3)))


def test_channels_that_are_not_sent_read_0_and_learn_nothing() -> None:
    code = codes(3).requires_grad_()
    sent = at_rate(code, Rate(2, 4))
    (gradient,) = torch.autograd.grad(sent.sum(), code)
    assert not sent[:, 2:].any()
    assert not gradient[:, 2:].any()


def test_gradients_pass_as_if_nothing_were_rounded() -> None:
    code = codes(3).requires_grad_()
    (gradient,) = torch.autograd.grad(at_rate(code, Rate(6, 2)).sum(), code)
    assert torch.equal(gradient, torch.ones_like(code))


def test_a_rate_says_how_long_its_plain_payload_is() -> None:
    tensor = TensorSpec(shape=(3, 3, 5), dtype="float32", low=0.0, high=1.0)
    codec = Affine(Crossing(cut=1, kind=CODE, tensors=(tensor,)), Grain(3))
    assert Rate(3, 3).nbytes(15) == codec.max_packed


def test_numbers_of_channels_rise_by_a_third_or_a_half() -> None:
    assert sizes(1) == (1,)
    assert sizes(10) == (2, 3, 4, 6, 8, 10)
    assert sizes(32) == (4, 6, 8, 12, 16, 24, 32)


def test_no_more_channels_are_sent_than_there_are() -> None:
    assert chosen_sizes(8, (8, 2)) == (2, 8)
    with pytest.raises(ValueError, match="more channels than the 4 of the code"):
        chosen_sizes(4, (8,))


def test_every_rate_is_drawn() -> None:
    rates = Rates(sent=(1, 2), bits=(8, 2))
    torch.manual_seed(0)
    drawn = {(int(sent), int(bits)) for sent, bits in zip(*rates.drawn(100), strict=True)}
    assert drawn == {(rate.sent, rate.bits) for rate in rates.every()}


def test_a_histogram_counts_the_bytes_of_an_ideal_coder() -> None:
    """Of four equally likely levels each takes two bits."""
    code = at_rate(codes(), Rate(6, 2))
    assert torch.allclose(Histogram(6, 2).bytes_of(code), torch.full((64,), np.prod(SHAPE) * 2 / 8))


def test_a_histogram_draws_codes_to_levels_that_are_cheaper() -> None:
    histogram = Histogram(1, 2)
    with torch.no_grad():
        histogram.logits_CL[:] = torch.tensor([[0.4, 0.0, 0.0, -0.4]])
    code = torch.tensor([[[0.4, 0.9]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(histogram.bytes_of(at_rate(code, Rate(1, 2))).sum(), code)
    assert (gradient > 0).all()


def cost_of_each_level(histogram: Histogram) -> torch.Tensor:
    """[4] bytes."""
    return histogram.bytes_of(torch.linspace(0, 1, 4).view(4, 1, 1)).detach()


def test_a_histogram_learns_how_often_levels_occur() -> None:
    histogram, code = Histogram(1, 2), torch.tensor([[[0.0, 0.0, 0.0, 1.0]]])
    optimizer = torch.optim.Adam(histogram.parameters(), lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        histogram.bytes_of(code).sum().backward()
        optimizer.step()
    found = 2 ** (-8 * cost_of_each_level(histogram))
    assert torch.allclose(found, torch.tensor([0.75, 0.0, 0.0, 0.25]), atol=0.02)
