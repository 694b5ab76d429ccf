"""Manifests with chosen tensors at their cuts, and features that fit them: for codecs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from offramp.bundle.manifest import Manifest, SampleSpec
from offramp.bundle.specs import BottleneckSpec, CutSpec, TensorSpec
from offramp.bundle.tables import LEVELS, TOTAL, CutTables, ProbeTables, TensorTables
from offramp.records import Array, Feature
from tests.support.manifests import a_manifest

FEATURE_CUT = 1


def a_tensor(*shape: int, dtype: str = "float32", low: float = -1.0, high: float = 3.0) -> TensorSpec:
    return TensorSpec(shape=shape, dtype=dtype, low=low, high=high)


def a_manifest_sending(*tensors: TensorSpec, branches: tuple[int, ...] = (1, 2)) -> Manifest:
    """A network whose cut FEATURE_CUT is crossed by these tensors."""
    manifest = a_manifest(branches=branches)
    cuts = list(manifest.cuts)
    cuts[FEATURE_CUT] = CutSpec(name="block1", tensors=tensors)
    return replace(manifest, cuts=tuple(cuts))


def with_tables(manifest: Manifest, *, axis: int = 0, shared: bool = False) -> Manifest:
    """The manifest of a bundle that ships tables for FEATURE_CUT; `shared`: counts of levels for all channels alike."""
    specs = manifest.cuts[FEATURE_CUT].tensors
    tables = CutTables(
        tensors=tuple(tables_of(spec, axis=axis % len(spec.shape), shared=shared) for spec in specs),
        dictionaries=dict.fromkeys(("affine8", "affine4c", "affine2"), bytes(range(256)) * 2),
    )
    return replace(manifest, tables={FEATURE_CUT: tables})


def tables_of(spec: TensorSpec, *, axis: int = 0, shared: bool = False) -> TensorTables:
    """Channels whose ranges grow from an eighth of the tensor's to all of it; low levels occur most, the last never."""
    channels = spec.shape[axis]
    widths_C = (spec.high - spec.low) * (1 + np.arange(channels, dtype=np.float32) * 7 / max(channels - 1, 1)) / 8
    counts_CL = np.ones((1 if shared else channels, LEVELS), np.int64)
    counts_CL += np.arange(LEVELS)[::-1] * (1 + np.arange(len(counts_CL))[:, None] % 3) // 4
    counts_CL[:, -1] = 0
    counts_CL[:, 0] += TOTAL - counts_CL.sum(axis=1)
    low_C = np.full(channels, spec.low, np.float32)
    counts_CL = counts_CL.astype(np.uint16)
    return TensorTables(
        axis=axis, low_C=low_C, high_C=low_C + widths_C, counts_CL=counts_CL, own_counts_CL=counts_CL[:, ::-1]
    )


def with_code(
    manifest: Manifest,
    *shape: int,
    name: str = "slim",
    tables: bool = True,
    codecs: tuple[str, ...] = (),
    own_tail: bool = False,
) -> Manifest:
    """The manifest of a bundle with a bottleneck around FEATURE_CUT, whose code has this shape."""
    tensor = a_tensor(*shape, low=0.0, high=1.0)
    spec = BottleneckSpec(
        name=name, cut=FEATURE_CUT, tensor=tensor, encoder_macs=50, tail_macs=3100, own_tail=own_tail, codecs=codecs
    )
    known = CutTables(
        tensors=(tables_of(tensor),),
        dictionaries=dict.fromkeys(("affine8:1", f"affine4:{shape[0]}"), bytes(512)),
        probe=probe_of(tensor) if shape[0] > 1 else None,
    )
    return replace(
        manifest,
        bottlenecks=(*manifest.bottlenecks, spec),
        tables={**manifest.tables, name: known} if tables else manifest.tables,
    )


def probe_of(tensor: TensorSpec, *, classes: int = 3, seed: int = 0) -> ProbeTables:
    """Of half and of all channels, with random weights that say something."""
    channels, places = tensor.shape[0], int(np.prod(tensor.shape[1:]))
    rng = np.random.default_rng(seed)
    return ProbeTables(
        channels_R=np.array([(channels + 1) // 2, channels], np.uint16),
        weight_VK=rng.normal(0, 2, (channels * places, classes)).astype(np.float32),
        scale_R=np.ones(2, np.float32),
        bias_RK=np.zeros((2, classes), np.float32),
    )


def a_manifest_of_samples(kind: str, dtype: str, *shape: int) -> Manifest:
    """A network whose samples, at cut 0, are these."""
    manifest = a_manifest()
    sample = CutSpec(name="input", tensors=(TensorSpec(shape=shape, dtype=dtype),))
    return replace(manifest, sample=SampleSpec(kind=kind, shape=shape, dtype=dtype), cuts=(sample, *manifest.cuts[1:]))


def noise(manifest: Manifest, cut: int, *, seed: int = 0) -> Feature:
    """Values all over each dtype's range; floats go half a range beyond the calibrated one on either side."""
    return noise_of(manifest.cuts[cut].tensors, seed=seed)


def noise_of(tensors: Sequence[TensorSpec], *, seed: int = 0) -> Feature:
    """The same for chosen tensors."""
    rng = np.random.default_rng(seed)
    return tuple(_noise(tensor, rng) for tensor in tensors)


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
