"""Writes candidates into a bundle: the last step of a build, with the segments and codecs that are deployed."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle, write_manifest
from offramp.measure.observe import observe
from offramp.planning.candidates import FILE, Candidates, enumerate_candidates, write_candidates
from offramp.records import Array
from offramp.runtime.runtime import Runtime

IMAGE_CODECS = ("png", "jpeg:95", "jpeg:90", "jpeg:75", "jpeg:50", "webp:80", "webp:50")
INPUT_CODECS = ("raw+zstd",)
FEATURE_CODECS = ("affine8+zstd", "float16+zstd")


def candidate_codecs(manifest: Manifest) -> dict[int, list[str]]:
    """By split: the codecs that candidates are made of."""
    at_input = IMAGE_CODECS if manifest.sample.kind == "image" else INPUT_CODECS
    return {split: list(FEATURE_CODECS if split else at_input) for split in range(manifest.end)}


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
    candidates = enumerate_candidates(observations, truth_M, group_M, bundle.manifest)
    write_candidates(candidates, bundle.file(FILE))
    write_manifest(bundle.path, bundle.manifest)
    return candidates
