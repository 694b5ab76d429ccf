"""Manifests with chosen tensors at their cuts, and features that fit them: for codecs."""

from dataclasses import replace

import numpy as np

from offramp.bundle.manifest import CutSpec, Manifest, SampleSpec, TensorSpec
from offramp.records import Array, Feature
from tests.support.manifests import a_manifest

FEATURE_CUT = 1


def a_tensor(*shape: int, dtype: str = "float32", low: float = -1.0, high: float = 3.0) -> TensorSpec:
    return TensorSpec(shape=shape, dtype=dtype, low=low, high=high)


def a_manifest_sending(*tensors: TensorSpec) -> Manifest:
    """A network whose cut FEATURE_CUT is crossed by these tensors."""
    manifest = a_manifest()
    cuts = list(manifest.cuts)
    cuts[FEATURE_CUT] = CutSpec(name="block1", tensors=tensors)
    return replace(manifest, cuts=tuple(cuts))


def a_manifest_of_samples(kind: str, dtype: str, *shape: int) -> Manifest:
    """A network whose samples, at cut 0, are these."""
    manifest = a_manifest()
    sample = CutSpec(name="input", tensors=(TensorSpec(shape=shape, dtype=dtype),))
    return replace(manifest, sample=SampleSpec(kind=kind, shape=shape, dtype=dtype), cuts=(sample, *manifest.cuts[1:]))


def noise(manifest: Manifest, cut: int, *, seed: int = 0) -> Feature:
    """Values all over each dtype's range; floats go half a range beyond the calibrated one on either side."""
    rng = np.random.default_rng(seed)
    return tuple(_noise(tensor, rng) for tensor in manifest.cuts[cut].tensors)


def photograph(*shape: int, seed: int = 0) -> Feature:
    """uint8 [1, H, W, C]: smooth slopes and a little noise, as image codecs like it."""
    rng = np.random.default_rng(seed)
    height, width, channels = shape
    down, right = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    tint = np.arange(1, channels + 1)
    values = 40 + 90 * down + 60 * right / tint + rng.normal(0, 3, shape)
    return (np.clip(values, 0, 255).astype(np.uint8)[None],)


def _noise(tensor: TensorSpec, rng: np.random.Generator) -> Array:
    shape = (1, *tensor.shape)
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "f":
        middle, width = (tensor.low + tensor.high) / 2, (tensor.high - tensor.low) or 1.0
        return rng.uniform(middle - width, middle + width, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
