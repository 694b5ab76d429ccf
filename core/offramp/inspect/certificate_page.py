"""A certificate in words, and for programs."""

from typing import Any

from offramp.bundle.jsonform import to_json
from offramp.bundle.manifest import Manifest
from offramp.exits.certificate import SHOWN, Certificate
from offramp.inspect.table import format_pairs


def certificate_page(certificate: Certificate, manifest: Manifest) -> str:
    """What is promised, by which rule, what it gains, and what it rests on."""
    return "\n\n".join([format_pairs(certificate_pairs(certificate, manifest)), _plans(certificate, manifest)])


def certificate_pairs(certificate: Certificate, manifest: Manifest) -> list[tuple[str, str]]:
    """(name, value), one line each."""
    one = certificate
    pairs = [
        ("promise", one.promise),
        ("evidence", one.evidence),
        ("rule", one.rule),
        ("gained", _gained(one, manifest)),
    ]
    if one.accuracy is not None and one.full_accuracy is not None:
        pairs.append(("accuracy", f"{100 * one.accuracy:.2f} %, of the whole network {100 * one.full_accuracy:.2f} %"))
    pairs += [
        ("certified on", _seen(one)),
        ("chosen from", f"{one.steps} rules: {one.path}; this is step {one.step + 1}{_tuned(one)}"),
        ("data", f"{one.data} {one.data_digest[:SHOWN]}…, {one.subset} part, seed {one.seed}"),
    ]
    if one.looked_at:
        pairs.append(("caution", f"{one.looked_at}; it promises that much less"))
    return pairs


def certificate_record(certificate: Certificate) -> dict[str, Any]:
    """For programs; shares in [0, 1]."""
    record: dict[str, Any] = to_json(certificate)
    return record | {"promise": certificate.promise, "leave": certificate.leave, "plan": certificate.plan}


def _gained(one: Certificate, manifest: Manifest) -> str:
    where = ", ".join(f"{100 * there.share:.1f} % at {manifest.cuts[there.cut].name}" for there in one.exits)
    return f"{100 * one.leave:.1f} % leave ({where}); {100 * one.operations:.0f} % of the network's operations"


def _seen(one: Certificate) -> str:
    on = one.certified_on
    if one.unit == "sample":
        return f"{on.samples:,} samples, each taken as independent"
    return f"{on.samples:,} samples in {on.units:,} independent units (each a {one.unit}); the promise is about a unit"


def _tuned(one: Certificate) -> str:
    on = one.tuned_on
    return f", made from {on.samples:,} other samples" if on.samples else ""


def _plans(one: Certificate, manifest: Manifest) -> str:
    lines = [f'--plan "{one.plan}" keeps it']
    if one.split < manifest.end:
        lines.append(f"so does any split from {one.split} on with this exit=, if its codec loses nothing")
    return "\n".join(lines)
