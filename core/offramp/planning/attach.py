"""Writes candidates into a bundle: the last step of a build, with the segments and codecs that are deployed.

calibration samples ─► observe ─┐
calibration tape ─► recorded ───┴─► enumerate_candidates ─► candidates.json
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle, write_manifest
from offramp.codecs.catalog import codec_names, open_codec
from offramp.errors import TapeError, UnknownNameError
from offramp.measure.observe import Observations, observe, recorded
from offramp.planning.candidates import FILE, Candidates, enumerate_candidates, write_candidates
from offramp.records import Array
from offramp.runtime.runtime import Runtime
from offramp.tape.reader import Tape

IMAGE_CODECS = ("raw", "png", "webp:lossless", "jpeg:95", "jpeg:90", "jpeg:75", "jpeg:50", "webp:80", "webp:50")
INPUT_CODECS = ("raw+zstd",)
FEATURE_CODECS = ("affine8+zstd", "float16+zstd")


def candidate_codecs(manifest: Manifest) -> dict[int, list[str]]:
    """By split: the codecs that candidates are made of, as far as they can be used there."""
    at_input = IMAGE_CODECS if manifest.sample.kind == "image" else INPUT_CODECS
    return {
        split: [name for name in (FEATURE_CODECS if split else at_input) if opens(name, manifest, split)]
        for split in range(manifest.end)
    }


def opens(codec: str, manifest: Manifest, split: int) -> bool:
    """Whether the codec exists and can be used at this split."""
    try:
        open_codec(codec, manifest, split)
    except UnknownNameError:
        return False
    return True


def known_codecs(manifest: Manifest) -> dict[int, list[str]]:
    """By split: those of candidates, and whatever else the catalogue knows there."""
    chosen = candidate_codecs(manifest)
    return {split: list(dict.fromkeys([*chosen[split], *codec_names(manifest, split)])) for split in chosen}


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
    _same_model(bundle.manifest, tape)
    rows = tape.rows(subset)
    return _attach(bundle, recorded(tape, subset), tape.truth_N[rows].astype(np.int64), tape.group_N[rows])


def _attach(
    bundle: Bundle, observations: Observations, truth_M: NDArray[np.int64], group_M: NDArray[np.int64]
) -> Candidates:
    candidates = enumerate_candidates(observations, truth_M, group_M, bundle.manifest)
    write_candidates(candidates, bundle.file(FILE))
    write_manifest(bundle.path, bundle.manifest)
    return candidates


def _same_model(manifest: Manifest, tape: Tape) -> None:
    if tape.header.model_digest != manifest.model_digest:
        raise TapeError(
            f"{tape.path} is of the model {tape.header.model_digest[:12]}… ({tape.header.bundle!r}), not of "
            f"{manifest.model_digest[:12]}… ({manifest.name!r}); record one of this bundle"
        )
