"""Writes candidates into a bundle: the last step of a build, with the segments and codecs that are deployed.

calibration samples ─► observe ─┐
calibration tape ─► recorded ───┴─► enumerate_candidates ─► candidates.json
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle, write_manifest
from offramp.codecs.usual import candidate_codecs
from offramp.errors import TapeError
from offramp.measure.observe import Observations, observe, recorded
from offramp.planning.candidates import FILE, Candidates, enumerate_candidates, write_candidates
from offramp.records import Array
from offramp.runtime.runtime import Runtime
from offramp.tape.reader import Tape


def attach_candidates(
    bundle: Bundle,
    runtime: Runtime,
    samples: Array,
    truth_M: NDArray[np.int64],
    group_M: NDArray[np.int64],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Candidates:
    """Observe calibration samples [M, *shape] and write `candidates.json` into the bundle, digest included."""
    observations = observe(bundle, runtime, samples, candidate_codecs(bundle.manifest), progress)
    return _attach(bundle, observations, truth_M, group_M)


def attach_from_tape(bundle: Bundle, tape: Tape, subset: str = "calibration") -> Candidates:
    """The same from a tape of the bundle, without running it.

    Raises:
        TapeError: The tape is of another model, or holds nothing of the subset.
    """
    refuse_another_model(bundle.manifest, tape)
    rows = tape.rows(subset)
    return _attach(bundle, recorded(tape, subset), tape.truth_N[rows].astype(np.int64), tape.group_N[rows])


def refuse_another_model(manifest: Manifest, tape: Tape) -> None:
    """
    Raises:
        TapeError: The tape is of another model than the manifest.
    """
    if tape.header.model_digest != manifest.model_digest:
        raise TapeError(
            f"{tape.path} is of the model {tape.header.model_digest[:12]}… ({tape.header.bundle!r}), not of "
            f"{manifest.model_digest[:12]}… ({manifest.name!r}); record one of this bundle"
        )


def _attach(
    bundle: Bundle, observations: Observations, truth_M: NDArray[np.int64], group_M: NDArray[np.int64]
) -> Candidates:
    candidates = enumerate_candidates(observations, truth_M, group_M, bundle.manifest)
    write_candidates(candidates, bundle.file(FILE))
    write_manifest(bundle.path, bundle.manifest)
    return candidates
