"""Networks to begin with, in plain torch."""

from offramp_builder.zoo.catalog import ZOO
from offramp_builder.zoo.factory import Factory, ZooEntry

__all__ = ["ZOO", "Factory", "ZooEntry"]
