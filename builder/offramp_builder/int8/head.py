"""Another head for a bundle, in int8.

    bundle ─► whole network ─► chosen form of it ─► the segments that a device runs ─► graph/int8/*.onnx, manifest

The calibration part of the data is divided in three: ranges, choices, and a report of the agreement that nothing was
chosen by: on the half that certificates rest on, by labels of the network alone.

# N samples
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from offramp.bundle.specs import HeadSpec, SegmentSpec
from offramp.bundle.store import Bundle, open_bundle, write_manifest
from offramp.data import DataSet
from offramp.data.held_out import to_fit
from offramp.errors import ModelError
from offramp.records import Array
from offramp_builder.int8.choosing import Progress, agreement, choose, labels_of
from offramp_builder.int8.whole import Whole, cut_out, whole_network
from offramp_builder.weights import WeightFile

INT8 = "int8"
_RANGED_BY, _CHOSEN_BY, _REPORTED_BY = 256, 1_000, 2_000
"""Samples at most."""
_FEWEST = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Samples:
    """Of different units, so that no run of frames is in two of them."""

    ranging: Array
    choosing: Array
    reporting: Array


def attach_int8(bundle: Bundle, calibration: DataSet, tell: Progress = lambda *_: None) -> Bundle:
    """Write the head into the bundle, in the place of one that it has; its model digest is another one then.

    Raises:
        ModelError: There are too few calibration samples.
    """
    samples = _divided(calibration)
    whole = whole_network(bundle)
    chosen = choose(whole, samples.ranging, samples.choosing, tell)
    found = agreement(labels_of(whole, samples.reporting), labels_of(chosen.whole, samples.reporting))
    segments = _write(bundle, chosen.whole)
    head = HeadSpec(
        name=INT8,
        segments=segments,
        agreement=tuple(sorted(found.items())),
        samples=len(samples.reporting),
        how=chosen.how,
    )
    others = tuple(one for one in bundle.manifest.heads if one.name != INT8)
    write_manifest(bundle.path, replace(bundle.manifest, heads=(*others, head)))
    return open_bundle(bundle.path)


def _write(bundle: Bundle, whole: Whole) -> tuple[SegmentSpec, ...]:
    folder = Path("graph", INT8)
    (bundle.path / folder).mkdir(parents=True, exist_ok=True)
    for old in (bundle.path / folder).iterdir():
        old.unlink()
    weights = WeightFile("weights.bin")
    segments = []
    for spec in bundle.manifest.segments:
        if spec.via:
            continue  # encoders and decoders stay in float32
        file = (folder / Path(spec.file).name).as_posix()
        onnx.save(cut_out(whole, spec, bundle.manifest, weights), bundle.path / file)
        segments.append(replace(spec, file=file))
    weights.write(bundle.path / folder)
    return tuple(segments)


def _divided(calibration: DataSet) -> _Samples:
    fit_N = to_fit(calibration.group_N)
    units = np.unique(calibration.group_N[fit_N])
    if len(units) < 2 or fit_N.all():
        raise ModelError(
            f"int8 takes {_FEWEST} or more independent calibration samples, to take ranges from, to choose by and to "
            f"report on; there are {calibration.groups}"
        )
    first_N = fit_N & np.isin(calibration.group_N, units[::2])
    return _Samples(
        ranging=_some(calibration, first_N, _RANGED_BY),
        choosing=_some(calibration, fit_N & ~first_N, _CHOSEN_BY),
        reporting=_some(calibration, ~fit_N, _REPORTED_BY),
    )


def _some(data: DataSet, which_N: NDArray[np.bool_], most: int) -> Array:
    """Evenly drawn."""
    rows = np.flatnonzero(which_N)
    return np.ascontiguousarray(data.samples[rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int)]])
