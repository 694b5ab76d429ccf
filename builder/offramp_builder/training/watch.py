"""Who watches a training."""

from typing import Protocol


class Watch(Protocol):
    """Told after every step."""

    def step(self, *, epoch: float, epochs: int, loss: float, accuracy: float) -> None:
        """`epoch` of `epochs` are done (2.5: in the middle of the third); accuracy so far in this epoch."""
        ...


class Quiet:
    """Nobody watches."""

    def step(self, *, epoch: float, epochs: int, loss: float, accuracy: float) -> None:
        del epoch, epochs, loss, accuracy
