"""The training loop: raw batches in, a trained trunk out.

    samples ─ shuffle, augment ─► road (bfloat16 where the device has it) ─► objective ─► step … checkpoint each epoch

# N samples, K classes
"""

import hashlib
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from offramp.data.dataset import DataSet
from offramp.errors import ModelError
from offramp.records import Array
from offramp_builder.training import checkpoint as checkpoints
from offramp_builder.training.augment import augment, shrink
from offramp_builder.training.balance import rows_of_epoch
from offramp_builder.training.muon import Muon
from offramp_builder.training.objective import Batch, Labels, Objective
from offramp_builder.training.processor import fastest, halved
from offramp_builder.training.settings import TrainSettings
from offramp_builder.training.watch import Quiet, Watch

_WARM_UP = 0.05  # share of all steps over which the rate rises
_EVALUATION_BATCH = 256


def train(
    road: nn.Module,
    data: DataSet,
    settings: TrainSettings,
    *,
    objective: Objective | None = None,
    told_NK: Tensor | None = None,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
) -> None:
    """Train `road` (raw samples to logits) in place; it is in evaluation mode afterwards, on the processor.

    What `objective` holds learns with it; without one, the labels are learned, and what the settings' teachers say of
    each sample, `told_NK`, where there are some. An interrupt (Ctrl-C) leaves the
    checkpoint of the last whole epoch, with which the same call goes on.

    Raises:
        ModelError: The loss is no longer finite.
        InputError: The checkpoint belongs to another training.
    """
    watch = watch or Quiet()
    objective = objective or Labels(settings)
    torch.manual_seed(settings.seed)
    trained = nn.ModuleDict({"road": road, "objective": objective})
    mark = _fingerprint(trained, data, settings)
    trained.to(fastest())
    _lay_out(trained, torch.channels_last)
    optimizer = _optimizer(trained, settings)
    try:
        state = checkpoints.load(checkpoint, mark) if checkpoint else None
        if state:
            trained.load_state_dict(state["weights"])
            optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] if state else 0
        trained.train()
        for epoch in range(first, settings.epochs):
            _train_epoch(trained, optimizer, data, settings, epoch, told_NK, watch)
            if checkpoint:
                weights, progress = trained.state_dict(), optimizer.state_dict()
                checkpoints.save(
                    checkpoint, {"fingerprint": mark, "epoch": epoch + 1, "weights": weights, "optimizer": progress}
                )
    finally:
        objective.close()
        _lay_out(trained, torch.contiguous_format)
        trained.to("cpu").eval()


def logits_of(road: nn.Module, samples: Array) -> NDArray[np.float32]:
    """[N, K] logits of raw samples, in evaluation mode and full precision."""
    was_training = road.training
    road.eval()
    with torch.inference_mode():
        found = [road(torch.from_numpy(batch)).float().numpy() for batch in batches_of(samples)]
    road.train(was_training)
    return np.concatenate(found)


def evaluate(road: nn.Module, data: DataSet) -> float:
    """Share of the samples that `road` gets right."""
    return float((logits_of(road, data.samples).argmax(1) == data.truth_N).mean())


def batches_of(samples: Array, size: int = _EVALUATION_BATCH) -> Iterator[Array]:
    """Contiguous copies of at most `size` samples, in order: never views that torch could write through."""
    for start in range(0, len(samples), size):
        yield np.array(samples[start : start + size])


def _train_epoch(
    trained: nn.ModuleDict,
    optimizer: torch.optim.Optimizer,
    data: DataSet,
    settings: TrainSettings,
    epoch: int,
    told_NK: Tensor | None,
    watch: Watch,
) -> None:
    # Seeded by the epoch, so that a resumed training meets the same batches as one that was never interrupted.
    rng = np.random.default_rng([settings.seed, epoch])
    torch.manual_seed(settings.seed * 1_000_003 + epoch)
    order = rows_of_epoch(data.truth_N, settings.balance, rng)[: settings.epoch_size]
    steps = max(1, len(order) // settings.batch)
    objective: Any = trained["objective"]
    device = next(trained.parameters()).device
    side = settings.side_in(epoch)
    right = seen = 0
    for step in range(steps):
        rows = np.sort(order[step * settings.batch : (step + 1) * settings.batch])
        moved = augment(data.samples[rows], settings, rng)
        samples = torch.from_numpy(moved if side is None else shrink(moved, side)).to(device)
        truth_N, rows_N = (torch.from_numpy(values).to(device) for values in (data.truth_N[rows], rows))
        told = None if told_NK is None else told_NK[rows].to(device)
        _set_rate(optimizer, _schedule((epoch * steps + step) / (settings.epochs * steps)))
        with halved(device, trained):
            logits_NK = trained["road"](samples).float()
            loss = objective.loss(logits_NK, Batch(truth_N=truth_N, rows_N=rows_N, epoch=epoch, told_NK=told))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if not math.isfinite(value := loss.item()):
            raise ModelError(f"the loss became {value} in epoch {epoch + 1}; train with a lower rate")
        right += int((logits_NK.argmax(1) == truth_N).sum())
        seen += len(rows)
        watch.step(epoch=epoch + (step + 1) / steps, epochs=settings.epochs, loss=value, accuracy=right / seen)


def _lay_out(module: Any, layout: torch.memory_format) -> None:
    """Channels last is what convolutions want: on the processor 1.3 times faster on pictures."""
    module.to(memory_format=layout)


def _optimizer(trained: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    name = settings.optimizer if settings.optimizer != "auto" else fitting_optimizer(trained)
    rate, decay = settings.peak_rate(name), settings.weight_decay(name)
    wanted = [parameter for parameter in trained.parameters() if parameter.requires_grad]
    # Norms and biases are not decayed: it only makes them smaller than they should be.
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in wanted if parameter.ndim > 2], "weight_decay": decay},
        {"params": [parameter for parameter in wanted if parameter.ndim == 2], "weight_decay": decay},
        {"params": [parameter for parameter in wanted if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    for group in groups:
        group["peak"] = rate
    if name == "muon":
        for group in groups:
            group["orthogonal"] = group["params"][0].ndim > 2  # a classifier's matrix needs its norm
        return Muon(groups, lr=rate)
    if name == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=rate)


def fitting_optimizer(trained: nn.Module) -> str:
    """What `auto` means for this network."""
    delicate = (nn.LayerNorm, nn.MultiheadAttention, nn.RNNBase)
    return "adamw" if any(isinstance(module, delicate) for module in trained.modules()) else "sgd"


def _schedule(done: float) -> float:
    """Share of the peak rate after this share of all steps: a short rise, then half a cosine."""
    if done < _WARM_UP:
        return (done + 1e-3) / (_WARM_UP + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))


def _set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = share * group["peak"]


def _fingerprint(trained: nn.Module, data: DataSet, settings: TrainSettings) -> str:
    shapes = [(name, tuple(value.shape)) for name, value in trained.state_dict().items()]
    start = [float(parameter.detach().double().sum()) for parameter in itertools.islice(trained.parameters(), 8)]
    described = repr((shapes, start, data.digest, len(data), settings))
    return hashlib.sha256(described.encode()).hexdigest()
