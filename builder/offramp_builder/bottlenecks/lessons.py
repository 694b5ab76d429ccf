"""What bottlenecks learn from: the features at their cut, and what the unchanged network says in the end.

    samples ─ moved, mirrored ─► frozen stages ─► features and logits      kept for all epochs, where memory allows:
                                                                           several views, each moved anew
                                             ─► … anew in each epoch       where it does not

Frozen stages cost a third of what training behind them does, so it pays to run them once for each view.

# N samples, V views, K classes
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from offramp.data.dataset import DataSet
from offramp.records import SampleSpec
from offramp_builder.bottlenecks.detour import Head
from offramp_builder.bottlenecks.settings import BottleneckSettings
from offramp_builder.branches.cache import Progress
from offramp_builder.capture import Captured
from offramp_builder.features import features
from offramp_builder.training.augment import augment
from offramp_builder.training.objective import Batch
from offramp_builder.training.trainer import batches_of

MOST = 3 << 30
"""Bytes of features that are kept: 3 GiB."""
_HALF = 1e4
"""Features up to here are kept as float16; its largest number is 65,504."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lessons:
    """Of one cut."""

    data: DataSet
    """Features at the cut, or the samples themselves."""
    head: nn.Module
    """From `data` to the features, in float32."""
    final: Callable[[Batch], Tensor]
    """[N, K] what the unchanged network says of the batch that `head` has just seen."""
    settings: BottleneckSettings
    """For `data`: kept features are not moved."""


def lessons(
    captured: Captured,
    position: int,
    data: DataSet,
    settings: BottleneckSettings,
    *,
    progress: Progress,
    most: int = MOST,
) -> Lessons:
    """Keep the features of as many views as are asked for and fit into `most` bytes; none where not even one does."""
    shape = captured.cuts[position].tensors[0].spec.shape
    moved = bool(settings.shift or settings.flip or settings.noise)
    view = len(data) * 2 * int(np.prod(shape))
    views = min(settings.views if moved else 1, settings.epochs, most // view)
    largest = float(next(features(captured, [position], [captured.examples]))[position][0].abs().max())
    if not views or largest > _HALF:
        head = Head(captured, position)
        return Lessons(data=data, head=head, final=lambda _batch: _said(head), settings=settings)
    kept, final_NK = _kept(captured, position, data, settings, views, progress)
    still = replace(settings, shift=0.0, flip=False, noise=0.0, epoch_size=settings.epoch_size or len(data))
    return Lessons(data=kept, head=Restored(), final=lambda batch: final_NK[batch.rows_N.cpu()], settings=still)


class Restored(nn.Module):
    """Kept features, as the network yields them."""

    def forward(self, feature: Tensor) -> Tensor:
        return feature.float()


def _said(head: Head) -> Tensor:
    assert head.final_NK is not None
    return head.final_NK


def _kept(
    captured: Captured, position: int, data: DataSet, settings: BottleneckSettings, views: int, progress: Progress
) -> tuple[DataSet, Tensor]:
    """Features and logits of every view, one view behind the other."""
    shape = captured.cuts[position].tensors[0].spec.shape
    kept = np.empty((views * len(data), *shape), np.float16)
    final_NK = torch.empty(len(kept), captured.classes)
    done = 0
    for view in range(views):
        rng = np.random.default_rng([settings.seed, view])
        batches = (torch.from_numpy(augment(batch, settings, rng)) for batch in batches_of(data.samples))
        for found in features(captured, [position, captured.end], batches):
            rows = slice(done, done + len(found[captured.end][0]))
            kept[rows] = found[position][0].numpy()
            final_NK[rows] = found[captured.end][0].float()
            done = rows.stop
            progress("keeping features", done, len(kept))
    cut = captured.cuts[position].name
    return (
        replace(
            data,
            sample=SampleSpec(kind="array", shape=shape, dtype="float16"),
            samples=kept,
            truth_N=np.tile(data.truth_N, views),
            group_N=np.tile(data.group_N, views),
            part_N=np.tile(data.part_N, views),
            stream_N=None,
            digest=f"{data.digest} at {cut}, {views} views",
        ),
        final_NK,
    )
