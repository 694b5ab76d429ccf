"""Writes candidates into a bundle: the last step of a build, with the segments and codecs that are deployed.

calibration samples ─► observe ─┐
calibration tape ─► recorded ───┴─► enumerate_candidates ─► candidates.json
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle, write_manifest
from offramp.codecs.usual import candidate_codecs
from offramp.errors import TapeError
from offramp.measure.listen import codecs_of_head
from offramp.measure.observe import Observations, observe, recorded
from offramp.planning.candidates import FILE, Candidates, write_candidates
from offramp.planning.enumerating import enumerate_candidates
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
    from offramp.runtime.onnx_backend import OnnxRuntime  # takes 0.1 s to import, and other heads are rare

    codecs = candidate_codecs(bundle.manifest)
    observations = observe(bundle, runtime, samples, codecs, progress)
    heads = {}
    for head in bundle.manifest.heads:
        with OnnxRuntime(bundle.headed(head.name), capacity=len(bundle.manifest.segments)) as other:
            heads[head.name] = observe(bundle, runtime, samples, codecs_of_head(codecs), progress, other)
    return _attach(bundle, observations, truth_M, group_M, heads)


def attach_from_tape(bundle: Bundle, tape: Tape, subset: str = "calibration", heads: Sequence[Tape] = ()) -> Candidates:
    """The same from a tape of the bundle, without running it; `heads` are tapes of the same samples with its others.

    Raises:
        TapeError: A tape is of another model, head or data, or holds nothing of the subset.
    """
    for one in (tape, *heads):
        refuse_another_model(bundle.manifest, one)
        if one.header.data_digest != tape.header.data_digest:
            raise TapeError(f"{one.path} is of other samples than {tape.path}; record the same ones with either head")
    names = [one.header.head for one in (tape, *heads)]
    if names[0] or "" in names[1:] or len(set(names)) < len(names):
        raise TapeError(
            f"these tapes are of the heads {', '.join(name or 'own' for name in names)}; give one of the bundle's own "
            "first, then at most one of each other"
        )
    rows = tape.rows(subset)
    others = {one.header.head: recorded(one, subset) for one in heads}
    return _attach(bundle, recorded(tape, subset), tape.truth_N[rows].astype(np.int64), tape.group_N[rows], others)


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
    bundle: Bundle,
    observations: Observations,
    truth_M: NDArray[np.int64],
    group_M: NDArray[np.int64],
    heads: Mapping[str, Observations],
) -> Candidates:
    candidates = enumerate_candidates(observations, truth_M, group_M, bundle.manifest, heads)
    write_candidates(candidates, bundle.file(FILE))
    write_manifest(bundle.path, bundle.manifest)
    return candidates
