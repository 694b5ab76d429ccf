"""The samples behind the rows of a tape, which holds what a network said about them and not the samples.

tape ─ id of each row ─► data set ─► frames.npz: x, y, arrival         what one device looks at, and when
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offramp.data import Request, load
from offramp.data.camera_digits import frames_at
from offramp.errors import DataError
from offramp.records import Array
from offramp.tape.reader import Tape

DIGITS = "camera-digits"
"""All 37,000 frames take minutes to draw, and those of a run seconds."""

Samples = Callable[[NDArray[np.intp]], Array]
"""Of rows of the tape, in their order."""


def samples_behind(tape: Tape, spec: str, shape: tuple[int, ...]) -> Samples:
    """The samples of a tape that was recorded from the data set `spec`, of this shape.

    Raises:
        DataError: The data set cannot be read, or is not the one that was recorded.
    """
    seed = int(tape.header.provenance.get("seed", "0"))
    if spec == tape.header.data == DIGITS:
        known: dict[int, Array] = {}

        def drawn(rows: NDArray[np.intp]) -> Array:
            ids = tape.id_N[rows].tolist()
            known.update(frames_at(set(ids) - known.keys(), seed))
            return np.stack([known[one] for one in ids])

        return drawn
    data = load(spec, Request(shape=shape, seed=seed))
    if data.name != tape.header.data or int(tape.id_N.max()) >= len(data):
        raise DataError(
            f"{spec} is {len(data):,} samples of {data.name}, but the tape {tape.path} was recorded from "
            f"{tape.header.data}, up to its sample {int(tape.id_N.max()):,}; give the same data as `record` had"
        )
    return lambda rows: np.asarray(data.samples[tape.id_N[rows]])


def write_frames(path: Path, samples: Array, truth: NDArray[np.int32], arrival: NDArray[np.float64]) -> None:
    """As `offramp device --source` reads them."""
    np.savez(path, x=samples, y=truth, arrival=arrival)
