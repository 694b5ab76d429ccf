"""What every loader is asked with."""

from dataclasses import dataclass
from typing import Protocol

from offramp.data.dataset import DataSet
from offramp.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Wishes that a loader may have to know before it reads; `load` applies those that it does not."""

    shape: tuple[int, ...] | None = None
    """The shape that samples should have, where the data set itself does not fix it (pictures of any size)."""
    limit: int | None = None
    """At most so many samples of each part."""
    seed: int = 0
    """For whatever is drawn at random: which samples a limit keeps, what is rendered."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise DataError(f"a limit of {self.limit} samples leaves nothing; give at least 1, or leave it out")


class Loader(Protocol):
    """Reads one kind of data set."""

    def __call__(self, path: str, request: Request, /) -> DataSet:
        """The data set at `path` (empty for a data set that needs none).

        Raises:
            DataError: It cannot be read; the message names the file, what was expected and the way out.
        """
        ...
