"""What was built, as a table for people or as JSON for programs."""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from offramp.bundle.exits import EXITS
from offramp.bundle.jsonform import to_json
from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import TensorSpec
from offramp.units import format_bytes
from offramp_builder.building import Built


def print_summary(built: Built, out: Path) -> None:
    """The kept cuts with their features, operations and branches, on standard output."""
    manifest = built.manifest
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("cut", "name", "feature", "bytes", "MMAC", "share", "branch", "accuracy"):
        table.add_column(heading, justify="left" if heading in ("name", "feature", "branch") else "right", no_wrap=True)
    for row in _rows(manifest):
        table.add_row(*row)
    console = Console(highlight=False)
    console.print(table)
    if manifest.final_accuracy is not None:
        test = f", {_share(built.test_accuracy)} on the test split" if built.test_accuracy is not None else ""
        console.print(f"whole network: {_share(manifest.final_accuracy)} on the calibration split{test}", markup=False)
        console.print(f"samples: {built.sizes}; {built.candidates} plans judged", markup=False)
    for spec in manifest.bottlenecks:
        told = manifest.provenance.get(f"bottleneck_{spec.name}", ", ".join(spec.codecs))
        place = manifest.cuts[spec.cut].name
        console.print(
            f"bottleneck {spec.name} at {place}, code {_shape(spec.tensor)}; {told}", markup=False, soft_wrap=True
        )
    if built.certificate is not None:
        console.print(f"certified: {built.certificate.promise}", markup=False, soft_wrap=True)
        console.print(
            f"  exit={built.certificate.rule}, {built.certificate.leave:.1%} leave", markup=False, soft_wrap=True
        )
    if EXITS in manifest.files:
        console.print(f"what exits are worth elsewhere: offramp bundle exits {out}", markup=False, soft_wrap=True)
    nbytes = sum(entry.nbytes for entry in manifest.files.values())
    console.print(f"{out}: {format_bytes(nbytes)}, model {manifest.model_digest[:12]}", markup=False, soft_wrap=True)


def as_json(built: Built, out: Path) -> dict[str, Any]:
    """The same as plain values; sizes in bytes, accuracies in [0, 1]."""
    manifest = built.manifest
    return {
        "bundle": str(out),
        "name": manifest.name,
        "model_digest": manifest.model_digest,
        "labels": list(manifest.labels),
        "cuts": [
            {
                "cut": cut,
                "name": spec.name,
                "split": spec.split,
                "nbytes": spec.nbytes,
                "macs": sum(stage.macs for stage in manifest.stages[:cut]),
                "branch_accuracy": branch.accuracy if (branch := manifest.branch_at(cut)) else None,
            }
            for cut, spec in enumerate(manifest.cuts)
        ],
        "bottlenecks": [
            {"name": spec.name, "cut": spec.cut, "code": list(spec.tensor.shape), "codecs": list(spec.codecs)}
            for spec in manifest.bottlenecks
        ],
        "final_accuracy": manifest.final_accuracy,
        "test_accuracy": built.test_accuracy,
        "candidates": built.candidates,
        "certificate": None if built.certificate is None else to_json(built.certificate),
        "nbytes": sum(entry.nbytes for entry in manifest.files.values()),
    }


def _rows(manifest: Manifest) -> list[tuple[str, ...]]:
    total = max(1, sum(stage.macs for stage in manifest.stages))
    rows: list[tuple[str, ...]] = []
    for cut, spec in enumerate(manifest.cuts):
        macs = sum(stage.macs for stage in manifest.stages[:cut])
        shapes = ", ".join(_shape(tensor) for tensor in spec.tensors)
        branch = manifest.branch_at(cut)
        said = (branch.kind, _share(branch.accuracy)) if branch else ("", "")
        name = spec.name if spec.split else f"{spec.name} *"  # inside a block: for its branch alone
        rows.append(
            (str(cut), name, shapes, format_bytes(spec.nbytes), f"{macs / 1e6:.2f}", f"{macs / total:.0%}", *said)
        )
    return rows


def _shape(tensor: TensorSpec) -> str:
    dtype = "" if tensor.dtype == "float32" else f" {tensor.dtype}"
    return "x".join(map(str, tensor.shape)) + dtype


def _share(accuracy: float | None) -> str:
    return "untrained" if accuracy is None else f"{accuracy:.1%}"
