"""A trunk that was trained just enough to have something to say, and the data it was trained on."""

from functools import cache

import torch

from offramp.data import Parts, split
from offramp_builder.capture import Captured, capture
from offramp_builder.preprocess import preprocessor
from offramp_builder.training.settings import TrainSettings
from offramp_builder.training.trainer import train
from offramp_builder.zoo import ZOO
from tests.builder.learnable import SIDE, bright_squares


@cache
def squares_parts() -> Parts:
    return split(bright_squares(600, split=True))


@cache
def squares_trunk() -> Captured:
    """A ResNet-8 for `squares_parts`; nobody may change its weights."""
    parts = squares_parts()
    torch.manual_seed(0)
    network = capture(ZOO["resnet8"].factory(4, (SIDE, SIDE, 3)), parts.train.sample, preprocessor(parts.train.sample))
    train(network.road, parts.train, TrainSettings(epochs=4, batch=32, shift=0.0))
    return capture(network.road.model, parts.train.sample, network.road.preprocess)
