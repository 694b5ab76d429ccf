"""Writing a bundle: the directory that holds everything the two ends need.

captured network + kept cuts + branches + ranges ─► graph/*.onnx, graph/weights.bin, reference.npz, manifest.json

It is written beside its place, verified there, and moved into place in one step: whoever looks sees the old bundle or
the new one, never half of one.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import offramp
from offramp.bundle.manifest import FORMAT, Manifest
from offramp.bundle.specs import BranchSpec, CutSpec, DiscoveredCut, StageSpec, check_bottlenecks
from offramp.bundle.store import MANIFEST, REFERENCE, write_manifest
from offramp.bundle.tables import TABLES, CutTables, write_tables
from offramp.errors import BundleError, ModelError
from offramp_builder.bottlenecks.bottleneck import Bottleneck
from offramp_builder.bottlenecks.detours import bottleneck_specs
from offramp_builder.bottlenecks.verify import verify_detours
from offramp_builder.capture import Captured
from offramp_builder.features import run_to
from offramp_builder.ranges import Ranges
from offramp_builder.segments import Branch, Wanted, write_segments
from offramp_builder.verify import ROWS, verify_segments, verify_slices

REFERENCES = 8
"""Raw samples that a bundle carries, for `offramp bundle verify`."""


def write_bundle(
    path: str | Path,
    captured: Captured,
    kept: Sequence[int],
    *,
    name: str,
    labels: Sequence[str],
    branches: Sequence[Branch] = (),
    bottlenecks: Sequence[Bottleneck] = (),
    ranges: Ranges | None = None,
    tables: Mapping[int | str, CutTables] | None = None,
    final_temperature: float = 1.0,
    final_accuracy: float | None = None,
    provenance: Mapping[str, str] | None = None,
    reference: Tensor | None = None,
    wanted: Wanted | None = None,
) -> Manifest:
    """Write the bundle and verify it; a bundle that is already at `path` is replaced.

    Args:
        path: The directory; missing, empty, or a bundle.
        captured: The network.
        kept: Positions in `captured.cuts` of the cuts to keep, in order, with both ends and every branch's.
        name: What a person calls the bundle.
        labels: One for each class, in order.
        branches: The exits before the end.
        bottlenecks: The detours around kept cuts.
        ranges: From `ranges.calibrate`, for all kept positions that fixed-range codecs shall work at.
        tables: From `tables.tabulate`, by position, and from `tables.tabulate_codes`, by name of the bottleneck;
            without them, codecs that need them are not offered.
        final_temperature: Divides the final logits before the scores are taken.
        final_accuracy: Of the whole network on the calibration split, in [0, 1]; None when untrained.
        provenance: How the bundle came to be.
        reference: A few raw samples [N, *shape] to verify with and to ship; without them, the captured examples.
        wanted: Which segments there shall be, where it is not all that plans can run.

    Raises:
        ModelError: The network cannot be written, or does not answer as the original does.
        BundleError: Something that is not a bundle is at `path`.
    """
    path = Path(path)
    branches = sorted(branches, key=lambda branch: branch.position)
    _check(captured, kept, labels, branches)
    check_place(path)
    samples = captured.examples if reference is None else torch.cat([reference, captured.examples])
    samples = samples[:REFERENCES]
    cuts = _cut_specs(captured, kept, ranges or {})
    detours = bottleneck_specs(captured, kept, bottlenecks)
    check_bottlenecks(detours, cuts)
    tried = samples[: max(ROWS)]
    verify_slices(captured, tried)
    with _beside(path) as folder:
        both = list(zip(bottlenecks, detours, strict=True))
        segments = write_segments(
            folder, captured, kept, cuts, branches, final_temperature, bottlenecks=both, wanted=wanted
        )
        verify_segments(folder, segments, captured, kept, branches, tried)
        verify_detours(folder, segments, captured, kept, branches, bottlenecks, tried)
        _write_reference(folder / REFERENCE, captured, samples)
        if tables:
            index: dict[int | str, int] = {position: number for number, position in enumerate(kept)}
            write_tables(folder / TABLES, {index.get(place, place): there for place, there in tables.items()})
        manifest = Manifest(
            format=FORMAT,
            name=name,
            offramp=offramp.__version__,
            sample=captured.sample,
            labels=tuple(labels),
            cuts=cuts,
            stages=_stage_specs(captured, kept),
            branches=_branch_specs(captured, kept, branches),
            final_temperature=final_temperature,
            final_accuracy=final_accuracy,
            segments=segments,
            discovered=_discovered(captured, kept),
            files={},
            model_digest="",
            provenance=dict(provenance or {}),
            bottlenecks=detours,
        )
        return write_manifest(folder, manifest)


def branch_macs(branch: Branch, feature: tuple[Tensor, ...]) -> int:
    """Multiply-accumulates of a branch for one sample."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        branch.network.eval()(feature[0][:1])
    return int(counter.get_total_flops()) // 2


def _check(captured: Captured, kept: Sequence[int], labels: Sequence[str], branches: Sequence[Branch]) -> None:
    if list(kept) != sorted(set(kept)) or not kept or (kept[0], kept[-1]) != (0, captured.end):
        raise ModelError(
            f"kept cuts {list(kept)} must rise from 0 (the input) to {captured.end} (the output); "
            f"choose_cuts() gives such a list"
        )
    if len(labels) != captured.classes or len(set(labels)) != len(labels):
        raise ModelError(
            f"{len(labels)} labels ({len(set(labels))} different) for a network of {captured.classes} classes; "
            f"give one name for each class, all different"
        )
    hung = [branch.position for branch in branches]
    if len(set(hung)) != len(hung):
        raise ModelError(f"two branches hang on one cut (positions {hung}); keep one of them")
    for position in hung:
        if position not in kept[1:-1]:
            raise ModelError(f"a branch hangs on position {position}, which is not an inner kept cut of {list(kept)}")
    for position in kept:
        if not captured.cuts[position].split and position not in hung:
            raise ModelError(
                f"the cut {captured.cuts[position].name!r} lies inside a block: it is kept for its branch alone, and "
                f"no branch hangs there; name it among --branches, or leave it out"
            )


def check_place(path: Path) -> None:
    """Refuse a place where something would be lost; a bundle alone may be replaced.

    Raises:
        BundleError: Something that is not a bundle is at `path`.
    """
    if path.is_dir() and any(path.iterdir()) and not (path / MANIFEST).is_file():
        raise BundleError(f"{path} is a folder with other things in it; give a new folder, or one that holds a bundle")
    if path.exists() and not path.is_dir():
        raise BundleError(f"{path} is a file; give a folder to write the bundle into")


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A folder that takes the place of `path` when all went well, and vanishes when not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.with_name(f".{path.name}.{os.getpid()}.new")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
        if path.exists():
            path.rename(old)
        folder.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _cut_specs(captured: Captured, kept: Sequence[int], ranges: Ranges) -> tuple[CutSpec, ...]:
    specs = []
    for position in kept:
        cut = captured.cuts[position]
        bounds = ranges.get(position, ((0.0, 0.0),) * len(cut.tensors))
        tensors = (
            replace(tensor.spec, low=low, high=high) for tensor, (low, high) in zip(cut.tensors, bounds, strict=True)
        )
        specs.append(CutSpec(name=cut.name, tensors=tuple(tensors), split=cut.split))
    return tuple(specs)


def _stage_specs(captured: Captured, kept: Sequence[int]) -> tuple[StageSpec, ...]:
    spent = [captured.cuts[position].macs for position in kept]
    return tuple(StageSpec(macs=after - before) for before, after in pairwise(spent))


def _branch_specs(captured: Captured, kept: Sequence[int], branches: Sequence[Branch]) -> tuple[BranchSpec, ...]:
    at = run_to(captured, [branch.position for branch in branches], captured.examples[:1])
    return tuple(
        BranchSpec(
            cut=list(kept).index(branch.position),
            kind=branch.kind,
            macs=branch_macs(branch, at[branch.position]),
            temperature=branch.temperature,
            accuracy=branch.accuracy,
            scaling=branch.scaling,
        )
        for branch in branches
    )


def _discovered(captured: Captured, kept: Sequence[int]) -> tuple[DiscoveredCut, ...]:
    index = {position: number for number, position in enumerate(kept)}
    return tuple(
        DiscoveredCut(name=cut.name, macs=cut.macs, nbytes=cut.nbytes, kept=index.get(cut.position), split=cut.split)
        for cut in captured.cuts
    )


def _write_reference(path: Path, captured: Captured, samples: Tensor) -> None:
    with torch.no_grad():
        logits_NK = captured.road(samples)
    np.savez_compressed(path, samples=samples.numpy(), logits=logits_NK.numpy())
