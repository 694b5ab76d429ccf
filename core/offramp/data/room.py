"""Memory for many samples: an array, or a file that vanishes with the process."""

import tempfile
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

_IN_MEMORY = 1 << 30  # 1 GiB


def room_for(count: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """[count, *shape] to be filled; beyond 1 GiB it lies in a temporary file."""
    nbytes = count * prod(shape)
    if nbytes <= _IN_MEMORY:
        return np.empty((count, *shape), np.uint8)
    # The map holds the file open after its name is gone; the disk is free again when the process ends.
    with tempfile.TemporaryFile() as file:
        file.truncate(nbytes)
        handle: Any = file
        return np.memmap(handle, np.uint8, mode="r+", shape=(count, *shape))
