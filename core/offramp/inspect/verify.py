"""`offramp bundle verify`: does what lies here still answer as the original network did?

    files ─► digests ─► every segment opens ─► head ∘ tail at every split ≡ the logits stored by the builder
                                            ├► scores ≡ what their logits and temperature give
                                            └► via each bottleneck: codes and tails agree among themselves

≡ means max |a - b| / max |b| <= 1e-4.

# N samples, K classes, S fused scores
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.specs import HeadSpec, SegmentSpec
from offramp.bundle.store import Bundle, open_bundle
from offramp.errors import BundleError
from offramp.records import Array, Feature
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.runtime.runtime import SegmentOutputs

TOLERANCE = 1e-4
"""Float32 sums in another order differ by 1e-7 to 1e-6; a wrong weight by far more."""
_OPEN = 4  # segments at a time: memory stays small, and each is opened about once


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question and what was found."""

    what: str
    passed: bool
    difference: float | None = None
    """max |a - b| / max |b|, where numbers were compared."""
    problem: str = ""


def verify(path: Path) -> Iterator[Check]:
    """Check after check, as they are done; those that need what failed are not asked.

    Raises:
        BundleError: There is no bundle at all.
    """
    bundle = open_bundle(path, check=False)
    try:
        open_bundle(path)
    except BundleError as error:
        yield Check(what="digests", passed=False, problem=str(error))
        return
    yield Check(what=f"digests of {len(bundle.manifest.files)} files", passed=True)
    with OnnxRuntime(bundle, capacity=_OPEN) as runtime:
        broken = 0
        for spec in bundle.manifest.segments:
            try:
                runtime.open(spec.start, spec.stop, branch=spec.branch, via=spec.via)
            except BundleError as error:
                broken += 1
                yield Check(what=_name(spec), passed=False, problem=str(error))
        if not broken:
            yield Check(what=f"all {len(bundle.manifest.segments)} segments open and run", passed=True)
            yield from _compare_answers(bundle, runtime)
            yield from _compare_detours(bundle, runtime)
    for head in bundle.manifest.heads:
        yield from _open_head(bundle.headed(head.name), head)


def _open_head(bundle: Bundle, head: HeadSpec) -> Iterator[Check]:
    with OnnxRuntime(bundle, capacity=_OPEN) as runtime:
        for spec in head.segments:
            try:
                runtime.open(spec.start, spec.stop, branch=spec.branch, via=spec.via)
            except BundleError as error:
                yield Check(what=f"{_name(spec)} of head {head.name}", passed=False, problem=str(error))
                return
    yield Check(what=f"all {len(head.segments)} segments of head {head.name} open and run", passed=True)


def _compare_answers(bundle: Bundle, runtime: OnnxRuntime) -> Iterator[Check]:
    try:
        samples, expected_NK = bundle.reference()
    except BundleError as error:
        yield Check(what="reference answers", passed=False, problem=str(error))
        return
    sample, end = bundle.manifest.sample, bundle.manifest.end
    if samples.shape[1:] != sample.shape or samples.dtype != sample.dtype or len(samples) != len(expected_NK):
        problem = f"{samples.dtype} {list(samples.shape)} where samples of {sample.dtype} {list(sample.shape)} belong"
        yield Check(what="reference samples", passed=False, problem=problem)
        return
    ones = [runtime.open(0, end, branch=False).run((sample[None],)).logits_NK for sample in samples]
    one_by_one_NK = np.concatenate([logits_1K for logits_1K in ones if logits_1K is not None])
    yield _alike(f"{len(samples)} reference samples, one by one", one_by_one_NK, expected_NK)
    for split in bundle.manifest.splits[:-1]:
        feature = _head(runtime, samples, split)
        logits_NK = runtime.open(split, end, branch=False).run(feature).logits_NK
        name = bundle.manifest.cuts[split].name
        yield _alike(f"head and tail at split {split} ({name})", logits_NK, expected_NK)
    final = runtime.open(0, end, branch=False).run((samples,))
    yield _alike("scores of the last answer", final.scores_NS, _scores(final, bundle.manifest.final_temperature))
    for branch in bundle.manifest.branches:
        outputs = runtime.open(0, branch.cut, branch=True).run((samples,))
        where = f"cut {branch.cut} ({bundle.manifest.cuts[branch.cut].name})"
        yield _alike(f"scores of the branch at {where}", outputs.scores_NS, _scores(outputs, branch.temperature))
        if bundle.manifest.cuts[branch.cut].split:
            for asked, unasked in zip(outputs.feature, _head(runtime, samples, branch.cut), strict=True):
                yield _alike(f"the feature at {where} with its branch and without", asked, unasked)
        else:
            logits_NK = runtime.open(branch.cut, end, branch=False).run(outputs.feature).logits_NK
            yield _alike(f"head and tail at {where}, with its branch", logits_NK, expected_NK)


def _compare_detours(bundle: Bundle, runtime: OnnxRuntime) -> Iterator[Check]:
    """Nobody has stored what is answered via a bottleneck; but its segments have to agree among themselves."""
    manifest = bundle.manifest
    for spec in manifest.bottlenecks:
        samples, _ = bundle.reference()
        code = runtime.open(0, spec.cut, branch=False, via=spec.name).run((samples,)).feature[0]
        there = f"the bottleneck {spec.name} around cut {spec.cut}"
        low, high = float(code.min()), float(code.max())
        within = low >= -TOLERANCE and high <= 1 + TOLERANCE
        problem = "" if within else f"values from {low:.3g} to {high:.3g}"
        yield Check(what=f"the code of {there} lies in [0, 1]", passed=within, problem=problem)
        alone = runtime.open(spec.cut, spec.cut, branch=False, via=spec.name)
        encoded = alone.run(_head(runtime, samples, spec.cut)).feature[0]
        yield _alike(f"the code of {there}, with its head and alone", code, encoded)
        final = runtime.open(spec.cut, manifest.end, branch=False, via=spec.name).run((code,))
        yield _alike(
            f"scores of the last answer via {there}", final.scores_NS, _scores(final, manifest.final_temperature)
        )
        for branch in manifest.branches if not spec.own_tail else ():
            if branch.cut > spec.cut:
                asked = runtime.open(spec.cut, branch.cut, branch=True, via=spec.name).run((code,))
                rest = runtime.open(branch.cut, manifest.end, branch=False).run(asked.feature)
                yield _alike(f"the tail of {there}, past branch {branch.cut}", rest.logits_NK, final.logits_NK)


def _head(runtime: OnnxRuntime, samples: Array, split: int) -> Feature:
    return (samples,) if split == 0 else runtime.open(0, split, branch=False).run((samples,)).feature


def _scores(outputs: SegmentOutputs, temperature: float) -> NDArray[np.float64] | None:
    """Confidence, normalised entropy and margin, from their definitions; `own` is the branch's affair."""
    if outputs.logits_NK is None:
        return None
    calm_NK = outputs.logits_NK.astype(np.float64) / temperature
    exp_NK = np.exp(calm_NK - calm_NK.max(axis=1, keepdims=True))
    p_NK = exp_NK / exp_NK.sum(axis=1, keepdims=True)
    top_NK = np.sort(p_NK, axis=1)[:, ::-1]
    entropy_N = -(p_NK * np.log(np.maximum(p_NK, np.finfo(np.float64).tiny))).sum(axis=1) / log(p_NK.shape[1])
    return np.stack([top_NK[:, 0], entropy_N, top_NK[:, 0] - top_NK[:, 1]], axis=1)


def _alike(what: str, found: Array | None, expected: Array | None) -> Check:
    """Compares the columns (or features) that `expected` has."""
    if found is None or expected is None:
        return Check(what=what, passed=False, problem="the segment gives no such output")
    found = found[:, : expected.shape[1]]
    if found.shape != expected.shape:
        return Check(what=what, passed=False, problem=f"shape {found.shape} instead of {expected.shape}")
    largest = float(np.abs(expected).max())
    difference = float(np.abs(found.astype(np.float64) - expected).max()) / (largest or 1.0)
    if not isfinite(difference):
        return Check(what=what, passed=False, problem="nan or infinity among the values")
    return Check(what=what, passed=difference <= TOLERANCE, difference=difference)


def _name(spec: SegmentSpec) -> str:
    way = f", via the bottleneck {spec.via}" if spec.via else ""
    return f"segment {spec.start} to {spec.stop}{', with its branch' if spec.branch else ''}{way}"
