"""Networks that cannot be divided are refused: the message says where, what, and the way out."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from offramp.errors import ModelError
from offramp.records import SampleSpec
from offramp_builder.capture import Captured, capture
from offramp_builder.preprocess import preprocessor
from tests.support.models import IMAGE, Classifier, conv

VECTOR = SampleSpec(kind="array", shape=(6,), dtype="float32")


class Doing(nn.Module):
    """A small network on images that does something in its middle."""

    def __init__(self, middle: Callable[[Tensor], Tensor], end: Callable[[Tensor], object] = lambda x: x) -> None:
        super().__init__()
        self.stem, self.head = conv(3, 4), Classifier(4)
        self.middle, self.end = middle, end

    def forward(self, x: Tensor) -> object:
        return self.end(self.head(self.middle(self.stem(x))))


def decides_by_value(x: Tensor) -> Tensor:
    if x.sum() > 0:
        return x * 2
    return x


def selects_by_value(x: Tensor) -> Tensor:
    return x + x[x > 1e9].sum()  # of nothing: the answer is the same for every batch


def mixes_samples(x: Tensor) -> Tensor:
    return x - x.mean(0, keepdim=True)


def draws(x: Tensor) -> Tensor:
    return nn.functional.dropout(x, 0.5, training=True)


def fixes_the_batch(x: Tensor) -> Tensor:
    return torch.cat([x.new_zeros(x.shape[0] if x.shape[0] != 2 else 2, 1, *x.shape[2:]), x], 1)[:, 1:]


def leaves_torch(x: Tensor) -> Tensor:
    return torch.from_numpy(x.numpy() * 2)


class Counting(nn.Module):
    """Counts what it has seen, and lets that touch its answers, if only by rounding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = conv(3, 4), Classifier(4)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.get_buffer("seen").add_(1e-9)
        return self.head(self.stem(x)) * (1 + self.get_buffer("seen"))


class Skipping(nn.Module):
    """Reads its input again at the very end."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cat([x, self.second(self.first(x).relu())], 1)) + x.sum(1, keepdim=True)


def capture_image_network(module: nn.Module) -> Captured:
    return capture(module, IMAGE, preprocessor(IMAGE))


@pytest.mark.parametrize(
    ("middle", "message"),
    [
        (decides_by_value, r"decides by the values.*test_refusals\.py, line \d+ \(if x\.sum\(\) > 0:\).*torch\.where"),
        (selects_by_value, r"size of a tensor depends on the data.*multiply by a mask"),
        (mixes_samples, r"depends on the others of its batch.*never over dimension 0"),
        (draws, r"two runs on the same samples differ.*nn\.Dropout"),
        (leaves_torch, r"torch\.export cannot trace the network in test_refusals\.py, line \d+"),
        (fixes_the_batch, r"fixes the batch size.*write -1 or x\.shape\[0\]"),
    ],
)
def test_what_no_slice_can_do_is_refused(middle: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        capture_image_network(Doing(middle))


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda logits: {"scores": logits}, r"returns dict.*key 'logits'"),
        (lambda _logits: "cat", r"returns str"),
        (lambda logits: logits.argmax(1), r"instead of logits \[N, K\]"),
        (lambda logits: logits[:, :1], r"one logit per sample.*\[N, 2\]"),
        (lambda logits: logits.squeeze(0), r"flatten\(1\)"),
        (lambda logits: logits * torch.nan, r"not numbers"),
    ],
)
def test_what_is_not_logits_is_refused(end: Callable[[Tensor], object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        capture_image_network(Doing(nn.Identity(), end))


def test_a_network_that_keeps_a_state_is_refused() -> None:
    with pytest.raises(ModelError, match=r"writes into its buffer 'seen'"):
        capture_image_network(Counting())


def test_a_network_without_a_cut_is_refused() -> None:
    with pytest.raises(ModelError, match=r"Skipping has no cut"):
        capture(Skipping(), VECTOR, preprocessor(VECTOR))


def test_a_sample_of_the_wrong_shape_is_refused_with_the_line_that_met_it() -> None:
    wrong = SampleSpec(kind="array", shape=(4,), dtype="float32")
    with pytest.raises(ModelError, match=r"cannot take a batch of \(5, 4\).*check the shape and kind"):
        capture(Skipping(), wrong, preprocessor(wrong))


@pytest.mark.parametrize("wrap", [lambda logits: (logits, None), lambda logits: {"logits": logits, "loss": None}])
def test_logits_are_found_in_a_tuple_or_a_mapping(wrap: Callable[[Tensor], object]) -> None:
    assert capture_image_network(Doing(nn.Identity(), wrap)).classes == 5


def test_two_classes_are_enough() -> None:
    assert capture_image_network(Doing(nn.Identity(), lambda logits: logits[:, :2])).classes == 2


def test_a_network_that_does_not_take_noise_is_tried_on_the_given_examples() -> None:
    words = SampleSpec(kind="array", shape=(7,), dtype="int64")

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(10, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.table(x).mean(1))

    network = capture(Words(), words, preprocessor(words), examples=torch.tensor([[1, 2, 3, 4, 5, 6, 7]] * 3))
    assert "table" in [cut.name for cut in network.cuts]
