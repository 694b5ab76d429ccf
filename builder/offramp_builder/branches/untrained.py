"""Branches with random weights, for bundles that only measure speed."""

from collections.abc import Sequence

import torch
from torch import nn

from offramp_builder.branches.catalog import BRANCH_KINDS
from offramp_builder.branches.training import fitting_variants
from offramp_builder.capture import Captured
from offramp_builder.segments import Branch


def untrained_branches(captured: Captured, positions: Sequence[int], kind: str, *, seed: int = 0) -> tuple[Branch, ...]:
    """A branch of `kind` at each position.

    Raises:
        ModelError: The kind does not fit the feature at a position.
    """
    torch.manual_seed(seed)
    branches = []
    for position in positions:
        variant = fitting_variants(captured, position, kind)[0]
        network = nn.Sequential(variant.pool, BRANCH_KINDS[kind].finish(variant.head)).eval()
        branches.append(Branch(position=position, kind=kind, network=network))
    return tuple(branches)
