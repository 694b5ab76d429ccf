"""A small vision transformer (Dosovitskiy and others, 2020), pooled by the mean of its tokens.

# N samples, C channels, H height, W width, T tokens, D width of a token, A heads, K classes
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from offramp.errors import ModelError

_PATCHES = 8  # along each side


class Attention(nn.Module):
    """Every token looks at every token, with several heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, token_NTD: Tensor) -> Tensor:
        tokens, width = token_NTD.shape[1:]
        packed = self.query_key_value(token_NTD).reshape(-1, tokens, 3, self.heads, width // self.heads)
        query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(query, key, value)
        mixed: Tensor = self.out(seen.transpose(1, 2).reshape(-1, tokens, width))
        return mixed


class VitBlock(nn.Module):
    """Attention and a two-layer network, each with a way around it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, token_NTD: Tensor) -> Tensor:
        looked = token_NTD + self.attention(self.norm1(token_NTD))
        thought: Tensor = looked + self.mlp(self.norm2(looked))
        return thought


class Vit(nn.Module):
    """8x8 patches, six blocks of width 128."""

    def __init__(
        self, num_classes: int, side: int, channels: int, *, width: int = 128, depth: int = 6, heads: int = 4
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, width, side // _PATCHES, side // _PATCHES)
        self.place = nn.Parameter(torch.randn(1, _PATCHES * _PATCHES, width) * 0.02)
        blocks = ((f"block{number}", VitBlock(width, heads)) for number in range(1, depth + 1))
        self.blocks = nn.Sequential(OrderedDict(blocks))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        token_NTD = self.patches(image_NCHW).flatten(2).transpose(1, 2) + self.place
        logits_NK: Tensor = self.classifier(self.norm(self.blocks(token_NTD)).mean(1))
        return logits_NK


def vit_small(num_classes: int, shape: tuple[int, ...]) -> nn.Module:
    height, width, channels = shape
    if height != width or height % _PATCHES:
        raise ModelError(
            f"vit_small takes squares whose side divides by {_PATCHES}, not {height}x{width}; resize the data"
        )
    return Vit(num_classes, height, channels)
