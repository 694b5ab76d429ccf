"""Small networks, one for each way in which layers can be wired: what users bring, shrunk to what a test can afford.

Weights are seeded noise, and batch normalisation has seeded statistics, so that folding it changes something.

# N samples, C channels, H height, W width, L length in time, D width of a token
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from offramp.records import SampleSpec
from offramp_builder.capture import Captured, capture
from offramp_builder.preprocess import preprocessor

IMAGE = SampleSpec(kind="image", shape=(16, 16, 3), dtype="uint8")
SIGNAL = SampleSpec(kind="ecg", shape=(48,), dtype="float32")
SOUND = SampleSpec(kind="audio", shape=(400,), dtype="int16")
CLASSES = 5


@dataclass(frozen=True)
class Case:
    """A network, and the samples that it takes."""

    build: Callable[[], nn.Module]
    sample: SampleSpec

    def module(self, *, seed: int = 0) -> nn.Module:
        """The network in evaluation mode, with seeded weights and statistics."""
        torch.manual_seed(seed)
        module = self.build()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                assert part.running_mean is not None
                assert part.running_var is not None
                part.running_mean.normal_(0, 0.2)
                part.running_var.uniform_(0.5, 1.5)
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias, 0, 0.2)
        return module.eval()

    def captured(self) -> Captured:
        return capture(self.module(), self.sample, preprocessor(self.sample))


def conv(inputs: int, outputs: int, *, stride: int = 1, kernel: int = 3, groups: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU in place."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Classifier(nn.Module):
    """Global pooling and a linear layer."""

    def __init__(self, inputs: int, classes: int = CLASSES) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(inputs, classes)

    def forward(self, feature: Tensor) -> Tensor:
        return self.linear(self.pool(feature).flatten(1))


class Residual(nn.Module):
    """Basic residual blocks, as in ResNet."""

    def __init__(self, depth: int = 2, width: int = 8, classes: int = CLASSES) -> None:
        super().__init__()
        self.stem = conv(3, width)
        self.blocks = nn.Sequential(*(self.Block(width) for _ in range(depth)))
        self.head = Classifier(width, classes)

    class Block(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.conv1 = conv(width, width)
            self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            out = self.bn2(self.conv2(self.conv1(x)))
            out += x
            return self.relu(out)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)))


class Inception(nn.Module):
    """Parallel paths that meet in a concatenation."""

    class Block(nn.Module):
        def __init__(self, inputs: int) -> None:
            super().__init__()
            self.one, self.three = conv(inputs, 4, kernel=1), conv(inputs, 6)
            self.five = nn.Sequential(conv(inputs, 4, kernel=1), conv(4, 4, kernel=5))
            self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(inputs, 2, kernel=1))

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, stride=2)
        self.first, self.second = self.Block(8), self.Block(16)
        self.head = Classifier(16)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(F.max_pool2d(self.first(self.stem(x)), 2)))


class Dense(nn.Module):
    """Every layer reads all before it; batch normalisation comes before the convolution, where it cannot be folded."""

    class Layer(nn.Module):
        def __init__(self, inputs: int) -> None:
            super().__init__()
            self.norm, self.conv = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, self.conv(F.relu(self.norm(x)))], 1)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.block1 = nn.Sequential(self.Layer(8), self.Layer(12))
        self.transition = nn.Sequential(nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 1), nn.AvgPool2d(2))
        self.block2 = nn.Sequential(self.Layer(8), self.Layer(12))
        self.head = Classifier(16)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.block2(self.transition(self.block1(self.stem(x))))))


class SqueezeExcite(nn.Module):
    """Inverted residual blocks with depthwise convolutions, whose channels are weighted by what is in them."""

    class Block(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.expand, self.depthwise = conv(width, 2 * width, kernel=1), conv(2 * width, 2 * width, groups=2 * width)
            self.squeeze, self.excite = nn.Conv2d(2 * width, 4, 1), nn.Conv2d(4, 2 * width, 1)
            self.project, self.norm = nn.Conv2d(2 * width, width, 1, bias=False), nn.BatchNorm2d(width)

        def forward(self, x: Tensor) -> Tensor:
            wide = self.depthwise(self.expand(x))
            weight = torch.sigmoid(self.excite(F.silu(self.squeeze(wide.mean((2, 3), keepdim=True)))))
            return x + self.norm(self.project(wide * weight))

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish(inplace=True))
        self.blocks = nn.Sequential(self.Block(8), self.Block(8))
        self.last = conv(8, 16, kernel=1)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(self.blocks(self.stem(x))).mean([2, 3]))


class Attention(nn.Module):
    """A small vision transformer, with a class token that is expanded to the batch."""

    class Block(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
            self.mlp = nn.Sequential(
                nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * width, width)
            )

        def forward(self, x_NLD: Tensor) -> Tensor:
            y_NLD = self.norm1(x_NLD)
            x_NLD = x_NLD + self.attention(y_NLD, y_NLD, y_NLD, need_weights=False)[0]
            return x_NLD + self.mlp(self.norm2(x_NLD))

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.places = nn.Parameter(torch.randn(1, 17, width) * 0.1)
        self.blocks = nn.Sequential(self.Block(width), self.Block(width))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x_NLD = self.patches(x).flatten(2).transpose(1, 2)
        x_NLD = torch.cat([self.token.expand(x_NLD.shape[0], -1, -1), x_NLD], 1) + self.places
        return self.head(self.norm(self.blocks(x_NLD))[:, 0])


class HandmadeAttention(nn.Module):
    """Attention written out with sizes read from the batch, as many repositories have it, after an encoder layer."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.encoder = nn.TransformerEncoderLayer(width, 2, 2 * width, batch_first=True)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x_NLD = self.encoder(self.patches(x).flatten(2).transpose(1, 2))
        n, length, width = x_NLD.shape
        query, key, value = self.qkv(x_NLD).reshape(n, length, 3, 4, width // 4).permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-2, -1) / math.sqrt(width // 4)).softmax(-1)
        x_NLD = x_NLD + self.out((weights @ value).transpose(1, 2).reshape(n, length, width))
        return self.head(x_NLD.mean(1))


class Recurrent(nn.Module):
    """Convolutions over a signal, then a recurrent layer whose first state is zeros of the batch's size."""

    def __init__(self, kind: type[nn.GRU] | type[nn.LSTM] = nn.GRU, *, both_ways: bool = False) -> None:
        super().__init__()
        self.front = nn.Sequential(nn.Conv1d(1, 8, 5, 2, 2), nn.BatchNorm1d(8), nn.ReLU())
        self.memory = kind(8, 12, num_layers=2, batch_first=True, bidirectional=both_ways)
        self.head = nn.Linear(12 * (1 + both_ways), CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out_NLD, _ = self.memory(self.front(x).transpose(1, 2))
        return self.head(out_NLD[:, -1])


class Reuse(nn.Module):
    """One module called several times, and functions that work in place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.head = Classifier(6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.stem(x))
        for _ in range(3):
            x = self.relu(self.norm(self.body(x)))
        x *= 0.5
        x.add_(0.1).clamp_(min=-1)
        x[:, 0] = 0.25
        return self.head(x)


class Regroup(nn.Module):
    """Makes every pixel a row of its own for a while, so that a size is a multiple of the batch's."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix = conv(3, 6, stride=4), nn.Linear(8, 6)
        self.extra = nn.Parameter(torch.randn(1, 2))
        self.head = Classifier(6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        rows_RC = x.permute(0, 2, 3, 1).reshape(-1, 6)
        rows_RC = self.mix(torch.cat([rows_RC, self.extra.expand(rows_RC.shape[0], -1)], 1))
        return self.head(torch.relu(rows_RC.reshape(x.shape[0], 4, 4, 6).permute(0, 3, 1, 2)))


class Sound(nn.Module):
    """A spectrogram by Fourier transform inside the network, then depthwise convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(64))
        self.body = nn.Sequential(conv(1, 8, stride=2), conv(8, 8, groups=8), conv(8, 12, kernel=1))
        self.head = Classifier(12)

    def forward(self, x: Tensor) -> Tensor:
        bins = torch.stft(x, 64, 32, window=self.get_buffer("window"), return_complex=True)
        return self.head(self.body(torch.log1p(torch.view_as_real(bins).square().sum(-1)).unsqueeze(1)))


class Pair(nn.Module):
    """Returns its logits and something else; two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = conv(3, 6, stride=2)
        self.head, self.other = Classifier(6, classes=2), Classifier(6, classes=9)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.body(x)
        return self.head(feature), self.other(feature)


NETWORKS: dict[str, Case] = {
    "residual": Case(Residual, IMAGE),
    "inception": Case(Inception, IMAGE),
    "dense": Case(Dense, IMAGE),
    "squeeze-excite": Case(SqueezeExcite, IMAGE),
    "attention": Case(Attention, IMAGE),
    "handmade-attention": Case(HandmadeAttention, IMAGE),
    "gru": Case(Recurrent, SIGNAL),
    "lstm": Case(lambda: Recurrent(nn.LSTM, both_ways=True), SIGNAL),
    "reuse": Case(Reuse, IMAGE),
    "regroup": Case(Regroup, IMAGE),
    "sound": Case(Sound, SOUND),
    "pair": Case(Pair, IMAGE),
}


class Pooled(nn.Module):
    """A branch for any feature: the mean over all but the channels (dimension 1), and a linear layer."""

    def __init__(self, shape: tuple[int, ...], classes: int = CLASSES) -> None:
        super().__init__()
        self.linear = nn.Linear(shape[0], classes)

    def forward(self, feature: Tensor) -> Tensor:
        flat_NCE = feature.float().flatten(2) if feature.ndim > 2 else feature.float().unsqueeze(2)
        return self.linear(flat_NCE.mean(2))


class Confident(nn.Module):
    """A branch with a confidence of its own."""

    def __init__(self, shape: tuple[int, ...], classes: int = CLASSES) -> None:
        super().__init__()
        self.answer, self.sure = Pooled(shape, classes), Pooled(shape, 1)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        return self.answer(feature), torch.sigmoid(self.sure(feature)).squeeze(1)
