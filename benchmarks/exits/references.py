"""Two honest references for the health task, trained as its network was: what small networks do without any exit.

the first exit alone     the network up to its first branch, which is the stem, with a linear classifier
the smallest monolith    of narrower and shallower networks, the one with the fewest operations within the drop
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.exits.tasks import Task

Blocks = tuple[tuple[int, int], ...]

_STEM = 12
SIZES: dict[str, tuple[Blocks, int]] = {
    "first exit alone": ((), _STEM),
    "one block": (((8, 2),), _STEM),
    "two blocks": (((8, 2), (12, 2)), _STEM),
    "three blocks": (((8, 2), (12, 2), (24, 2)), _STEM),
    "all blocks, half as wide": (((4, 2), (6, 2), (12, 2), (12, 1), (24, 2), (24, 1)), 6),
    "all blocks, twice as wide": (((16, 2), (24, 2), (48, 2), (48, 1), (96, 2), (96, 1)), _STEM),
}
"""Blocks (channels, stride) and channels of the stem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    name: str
    operations: float
    """As a share of the whole network's."""
    measures: dict[str, float]
    """On the test samples."""


def references(task: Task, data: str, whole_macs: float, kept: Path) -> list[Reference]:
    """All of SIZES, trained with the settings of the task's recipe; those that are done are read from `kept`."""
    done: dict[str, Reference] = {}
    if kept.is_file():
        done = {one["name"]: Reference(**one) for one in json.loads(kept.read_text(encoding="utf-8"))}
    for name in SIZES:
        if name not in done:
            done[name] = _train(task, name, data, whole_macs)
            rows = [{"name": one.name, "operations": one.operations, "measures": one.measures} for one in done.values()]
            kept.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return list(done.values())


def smallest_within(found: Sequence[Reference], whole: dict[str, float], drop: float) -> Reference | None:
    """The one with the fewest operations that loses no more than `drop` in any measure; None where each loses more."""
    holding = [one for one in found if all(one.measures[name] >= value - drop for name, value in whole.items())]
    return min(holding, key=lambda one: one.operations, default=None)


def _train(task: Task, name: str, data: str, whole_macs: float) -> Reference:
    import torch

    from offramp.data import load, split
    from offramp_builder.capture import capture
    from offramp_builder.preprocess import preprocessor
    from offramp_builder.recipe_file import load_recipe
    from offramp_builder.training.augment import allowed
    from offramp_builder.training.trainer import logits_of, train
    from offramp_builder.zoo.beat_cnn import BeatCnn

    parts, recipe = split(load(data)), load_recipe(task.recipe)
    assert recipe.train is not None
    blocks, stem = SIZES[name]
    torch.manual_seed(recipe.seed)
    network = BeatCnn(len(parts.train.labels), blocks, stem)
    captured = capture(network, parts.train.sample, preprocessor(parts.train.sample))
    train(captured.road, parts.train, allowed(recipe.train, parts.train))
    said_N = logits_of(captured.road, parts.test.samples).argmax(axis=1)
    return Reference(
        name=name, operations=captured.macs / whole_macs, measures=task.measures(said_N, parts.test.truth_N)
    )
