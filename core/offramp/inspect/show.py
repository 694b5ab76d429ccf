"""`offramp bundle show` and `offramp bundle cuts`: what a manifest says, for people and for programs."""

from itertools import accumulate
from typing import Any

from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import BottleneckSpec, CutSpec, DiscoveredCut, TensorSpec
from offramp.bundle.store import WEIGHTS, Bundle
from offramp.errors import BundleError
from offramp.exits.certificate import read_certificate
from offramp.inspect.certificate_page import certificate_pairs, certificate_record
from offramp.inspect.heads_page import heads_page
from offramp.inspect.table import format_pairs, format_table
from offramp.units import format_bytes

LABELS_SHOWN = 10


def show_page(bundle: Bundle) -> str:
    """Sample, labels, accuracy and the kept cuts, on one screen."""
    manifest = bundle.manifest
    sample = manifest.sample
    pairs = [
        ("sample", f"{sample.kind} {_shape(sample.shape)} {sample.dtype}, {format_bytes(manifest.cuts[0].nbytes)}"),
        ("labels", _labels(manifest.labels)),
        ("accuracy", _accuracy(manifest.final_accuracy, "the whole network, on its calibration split")),
        ("operations", f"{format_count(sum(stage.macs for stage in manifest.stages))} multiply-accumulates a sample"),
        ("segments", _segments(manifest)),
        ("digest", manifest.model_digest),
        ("written by", f"offramp {manifest.offramp}, format {manifest.format}"),
    ]
    attachments = [name for name in manifest.files if not name.startswith("graph/")]
    if attachments:
        pairs.append(("attached", ", ".join(attachments)))
    parts = [manifest.name, format_pairs(pairs), _kept_table(manifest)]
    if len(manifest.splits) < len(manifest.cuts):
        parts[-1] += "\n\n* inside a block: its branch can be asked, but no plan splits there"
    if manifest.bottlenecks:
        parts.append("bottlenecks, detours on which a code crosses\n" + _indent(_bottleneck_table(manifest)))
    if certified := _certificate(bundle):
        parts.append("what is certified of its exits\n" + _indent(certified))
    if manifest.heads:
        parts.append(heads_page(manifest))
    if manifest.provenance:
        parts.append("how it came to be\n" + _indent(format_pairs(list(manifest.provenance.items()))))
    return "\n\n".join(parts)


def cuts_page(bundle: Bundle) -> str:
    """Every cut that the network has, kept or not."""
    manifest = bundle.manifest
    total = sum(stage.macs for stage in manifest.stages)
    rows = [
        (
            "" if cut.kept is None else str(cut.kept),
            _marked(cut),
            format_share(cut.macs, total),
            format_bytes(cut.nbytes),
        )
        for cut in manifest.discovered
    ]
    kept = sum(cut.kept is not None for cut in manifest.discovered)
    title = f"{manifest.name}: {len(rows)} cuts, {kept} kept (numbered; rebuild the bundle to keep others)"
    inside = sum(not cut.split for cut in manifest.discovered)
    if inside:
        title += f"; {inside} lie inside blocks (*), for branches alone"
    return f"{title}\n\n{format_table(('kept', 'cut', 'done before', 'feature'), rows, right=(0, 2, 3))}"


def show_record(bundle: Bundle) -> dict[str, Any]:
    """What `show` prints, for programs."""
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "model_digest": manifest.model_digest,
        "format": manifest.format,
        "offramp": manifest.offramp,
        "sample": {"kind": manifest.sample.kind, "shape": manifest.sample.shape, "dtype": manifest.sample.dtype},
        "labels": manifest.labels,
        "accuracy": manifest.final_accuracy,
        "macs": sum(stage.macs for stage in manifest.stages),
        "segments": len(manifest.segments),
        "nbytes": sum(entry.nbytes for entry in manifest.files.values()),
        "cuts": [_cut_record(manifest, index, macs) for index, macs in enumerate(_macs_before(manifest))],
        "bottlenecks": [_bottleneck_record(spec) for spec in manifest.bottlenecks],
        "certificate": certificate_record(certificate) if (certificate := read_certificate(bundle)) else None,
        "heads": [
            {"name": head.name, "agreement": dict(head.agreement), "samples": head.samples, "how": dict(head.how)}
            for head in manifest.heads
        ],
        "provenance": dict(manifest.provenance),
    }


def cuts_record(bundle: Bundle) -> dict[str, Any]:
    """What `cuts` prints, for programs."""
    return {
        "name": bundle.manifest.name,
        "cuts": [
            {"name": cut.name, "kept": cut.kept, "macs": cut.macs, "nbytes": cut.nbytes, "split": cut.split}
            for cut in bundle.manifest.discovered
        ],
    }


def format_count(value: float) -> str:
    """A count with three significant digits: `921`, `16.4 k`, `1.20 M`."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def format_share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _kept_table(manifest: Manifest) -> str:
    total = sum(stage.macs for stage in manifest.stages)
    rows = []
    for index, (cut, macs) in enumerate(zip(manifest.cuts, _macs_before(manifest), strict=True)):
        branch = manifest.branch_at(index)
        rows.append(
            (
                str(index),
                _marked(cut),
                format_share(macs, total),
                " + ".join(f"{_shape(tensor.shape)} {tensor.dtype}" for tensor in cut.tensors),
                format_bytes(cut.nbytes),
                " + ".join(map(_range, cut.tensors)) if 0 < index < manifest.end else "",
                f"{branch.kind}, {format_share(branch.macs, total)}" if branch else "",
                _accuracy(branch.accuracy) if branch else "",
            )
        )
    headers = ("cut", "name", "done before", "feature", "bytes", "range", "branch", "accuracy")
    return format_table(headers, rows, right=(0, 2, 4, 5, 7))


def _bottleneck_table(manifest: Manifest) -> str:
    total = manifest.macs_between(0, manifest.end)
    rows = [
        (
            spec.name,
            str(spec.cut),
            _shape(spec.tensor.shape),
            format_share(spec.encoder_macs, total),
            format_share(spec.tail_macs, total),
            "its own" if spec.own_tail else "the network's",
            ", ".join(spec.codecs),
        )
        for spec in manifest.bottlenecks
    ]
    headers = ("name", "cut", "code", "encoder", "done after", "tail", "codecs worth trying")
    return format_table(headers, rows, right=(1, 2, 3, 4))


def _bottleneck_record(spec: BottleneckSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "cut": spec.cut,
        "code": spec.tensor.shape,
        "encoder_macs": spec.encoder_macs,
        "tail_macs": spec.tail_macs,
        "own_tail": spec.own_tail,
        "codecs": spec.codecs,
    }


def _cut_record(manifest: Manifest, index: int, macs: int) -> dict[str, Any]:
    cut: CutSpec = manifest.cuts[index]
    branch = manifest.branch_at(index)
    return {
        "cut": index,
        "name": cut.name,
        "macs_before": macs,
        "nbytes": cut.nbytes,
        "split": cut.split,
        "tensors": [
            {"shape": tensor.shape, "dtype": tensor.dtype, "low": tensor.low, "high": tensor.high}
            for tensor in cut.tensors
        ],
        "branch": branch
        and {"kind": branch.kind, "macs": branch.macs, "accuracy": branch.accuracy, "scaling": branch.scaling},
    }


def _marked(cut: CutSpec | DiscoveredCut) -> str:
    return cut.name if cut.split else f"{cut.name} *"


def _macs_before(manifest: Manifest) -> list[int]:
    return [0, *accumulate(stage.macs for stage in manifest.stages)]


def _certificate(bundle: Bundle) -> str:
    """In words; of one that is not of this bundle, why it is refused."""
    try:
        certificate = read_certificate(bundle)
    except BundleError as error:
        return str(error)
    return format_pairs(certificate_pairs(certificate, bundle.manifest)) if certificate else ""


def _segments(manifest: Manifest) -> str:
    weights = manifest.files.get(WEIGHTS)
    shared = f", sharing {format_bytes(weights.nbytes)} of weights" if weights else ""
    total = format_bytes(sum(entry.nbytes for entry in manifest.files.values()))
    return f"{len(manifest.segments)}{shared}; {total} in {len(manifest.files)} files"


def _labels(labels: tuple[str, ...]) -> str:
    rest = len(labels) - LABELS_SHOWN
    return f"{len(labels)}: {', '.join(labels[:LABELS_SHOWN])}{f', … {rest} more' if rest > 0 else ''}"


def _accuracy(value: float | None, of: str = "") -> str:
    return "untrained" if value is None else f"{100 * value:.1f} %{f' ({of})' if of else ''}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _range(tensor: TensorSpec) -> str:
    return "none" if tensor.low >= tensor.high else f"{tensor.low:.3g} to {tensor.high:.3g}"


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
