"""Trained networks that teach another one: what they say of the samples that it learns from.

    weights ─► networks ─► each sample, and its mirror image ─► probabilities, their mean ─► logits, kept

Asked once and not in every epoch: the mean of several views is a better teacher than the one view that is met, and ten
epochs of asking cost as much as three of learning.

# N samples, K classes
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from offramp.data.dataset import DataSet
from offramp.errors import ModelError
from offramp.records import Array
from offramp_builder.branches.cache import Progress
from offramp_builder.capture import Road
from offramp_builder.models import open_model
from offramp_builder.preprocess import preprocessor
from offramp_builder.pretrained import load_weights, normalisation_of
from offramp_builder.sources import Sources
from offramp_builder.training.processor import fastest
from offramp_builder.training.trainer import batches_of

_ANOTHER = re.compile(r"(?P<model>[\w.]+:[\w.]+)=(?P<file>.+)")
_LEAST = 1e-7
"""Probability whose logarithm is still taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """Where a trained network comes from: FILE, or MODEL=FILE."""

    model: str
    weights: Path

    @classmethod
    def parse(cls, text: str, model: str) -> "Teacher":
        """`model` is that of the network which learns."""
        if named := _ANOTHER.fullmatch(text):
            return cls(model=named["model"], weights=Path(named["file"]))
        return cls(model=model, weights=Path(text))

    def open(self, sources: Sources) -> Road:
        """
        Raises:
            ModelError: There are no such weights, they do not fit the network, or it tells other classes apart.
        """
        network = open_model(self.model, sources.sample, len(sources.labels))
        load_weights(network, self.weights)
        mean, std = normalisation_of(self.weights)
        preprocess = preprocessor(sources.sample, mean=mean or sources.mean, std=std or sources.std)
        return Road(preprocess, network).eval().requires_grad_(False)


def tell(teachers: Sequence[Road], data: DataSet, *, mirrored: bool, progress: Progress) -> Tensor:
    """[N, K] logarithms of the teachers' mean probabilities; of pictures and their mirror images where `mirrored`.

    Raises:
        ModelError: Teachers tell different numbers of classes apart.
    """
    told = [_answers(road, data, mirrored, progress, index, len(teachers)) for index, road in enumerate(teachers)]
    widths = {one_NK.shape[1] for one_NK in told}
    if len(widths) > 1 or min(widths) != len(data.labels):
        raise ModelError(
            f"teachers tell {' and '.join(map(str, sorted(widths)))} classes apart, and the data have "
            f"{len(data.labels)}; give teachers that learned the same classes"
        )
    return torch.stack(told).mean(0).clamp_min(_LEAST).log()


def _answers(road: Road, data: DataSet, mirrored: bool, progress: Progress, index: int, count: int) -> Tensor:
    """[N, K] mean probabilities of one."""
    device = fastest()
    road.to(device)
    found = []
    for number, batch in enumerate(batches_of(data.samples)):
        with torch.inference_mode():
            views = [torch.softmax(road(torch.from_numpy(view).to(device)), 1) for view in _views(batch, mirrored)]
            found.append(torch.stack(views).mean(0).float().cpu())
        progress("asking teachers", index * len(data) + number * len(batch), count * len(data))
    road.to("cpu")
    return torch.cat(found).clone()


def _views(batch: Array, mirrored: bool) -> list[Array]:
    if not (mirrored and batch.ndim == 4):
        return [batch]
    return [batch, np.ascontiguousarray(batch[:, :, ::-1])]
