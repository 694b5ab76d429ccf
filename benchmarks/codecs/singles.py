"""Bottlenecks that are trained for one rate alone, to hold the one for all rates against.

Each begins as the one for all rates and learns on at its rate, so that it starts with all that the other knows.

# N samples
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.codecs.tasks import Task
from offramp_builder.bottlenecks.settings import BottleneckSettings

RATES = ((8, 2), (12, 2), (16, 2), (24, 2), (32, 2), (48, 2), (64, 2), (64, 4))
"""Channels and bits: with 16 places, 32 to 512 bytes before the range coder."""


def singles(
    task: Task, data: str, weights: Path, trained: Path, *, epochs: int, size: int | None
) -> list[dict[str, Any]]:
    """For each rate, accuracy on test samples of the bottleneck for all rates, and of one that learned on for it alone.

    Args:
        task: Whose recipe builds the network.
        data: As in --data.
        weights: Of the network.
        trained: Of the bottleneck for all rates, as `--save-bottlenecks` left it.
        epochs: That each learns on for.
        size: Samples of such an epoch; None: all.
    """
    import torch

    from offramp_builder.bottlenecks.choosing import answers, codes
    from offramp_builder.bottlenecks.quantise import Rate, at_rate
    from offramp_builder.bottlenecks.training import train_bottlenecks
    from offramp_builder.learning import capture_road
    from offramp_builder.models import open_model
    from offramp_builder.pretrained import load_weights
    from offramp_builder.recipe import Recipe
    from offramp_builder.recipe_file import read_recipe
    from offramp_builder.sources import gather

    given = read_recipe(task.recipe) | {"data": data, "weights": weights, "train": None}
    recipe = Recipe(**given)
    sources, _ = gather(recipe)
    assert sources.parts is not None
    model = open_model(recipe.model, sources.sample, len(sources.labels))
    load_weights(model, weights)
    captured = capture_road(model, sources)
    truth_N = torch.from_numpy(sources.parts.test.truth_N)
    settings = BottleneckSettings(at=",".join(task.bottlenecks), weights=trained)

    def accuracy(asked: BottleneckSettings, rate: Rate) -> float:
        assert sources.parts is not None
        (one,) = train_bottlenecks(captured, asked, sources.parts)
        code = codes(captured, one.bottleneck, sources.parts.test)
        said_NK = answers(captured, one.bottleneck, at_rate(code, rate))
        return float((said_NK.argmax(1) == truth_N).float().mean())

    found = []
    for sent, bits in RATES:
        rate = Rate(sent, bits)
        alone = replace(settings, onward=True, sent=(sent,), bits=(bits,), epochs=epochs, epoch_size=size, rate=1e-4)
        found.append({"sent": sent, "bits": bits, "shared": accuracy(settings, rate), "alone": accuracy(alone, rate)})
    return found


def read_singles(path: Path) -> list[dict[str, Any]]:
    """What `singles` found, written down."""
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found
