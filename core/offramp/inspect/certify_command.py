"""`offramp bundle certify DIR`: the most lenient exit rule that keeps a promise, written into the bundle."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from offramp.bundle.shipped import find_bundle
from offramp.cli import DONE
from offramp.errors import SettingsError
from offramp.units import parse_share

if TYPE_CHECKING:
    from offramp.bundle.manifest import Manifest
    from offramp.bundle.store import Bundle
    from offramp.exits.certify import Promise
    from offramp.exits.evidence import Evidence

EPILOG = """\
examples:
  offramp bundle certify my-model --data cifar10:PATH --drop 1% --confidence 95%
  offramp bundle certify my-model --tape calibration.tape --disagreement 2%
  offramp bundle certify my-model --data mitbih:PATH --drop 1% --policy difference+confidence:0.9 --block 200

Samples are the calibration part of the data, dealt out as at the build. Temperatures were fitted on one half of it, and
thresholds may be tuned there; the other half decides. docs/guarantees.md says what is promised, and what is not."""


class CertifyCommand:
    summary = "find the most lenient exit rule that keeps a promise, and write it into the bundle"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = EPILOG
        samples = parser.add_argument_group("samples")
        samples.add_argument("--data", metavar="KIND:PATH", help="what the bundle was built from")
        samples.add_argument("--limit", type=int, metavar="N", help="the build's, for bundles that do not say it")
        samples.add_argument(
            "--tape", type=Path, metavar="FILE", help="recorded of this bundle, in the place of --data"
        )
        samples.add_argument("--subset", default="calibration", help="of the tape (default: calibration)")
        samples.add_argument("--branches", metavar="CUTS", help="that may be asked, such as 2,4 (default: all)")
        samples.add_argument("--block", type=int, metavar="N", help="count N neighbours of a stream as one draw")
        parser.add_argument("--dry-run", action="store_true", help="print the certificate, and write nothing")
        add_promise(parser)

    def run(self, args: argparse.Namespace) -> int:
        from offramp.bundle.store import open_bundle
        from offramp.exits.certificate import write_certificate
        from offramp.exits.certify import certify, halves_of
        from offramp.exits.evidence import units_of
        from offramp.inspect.certificate_page import certificate_page, certificate_record
        from offramp.measure.calibration import looked_at
        from offramp.planning.ways import Way

        promise = promise_from(args)
        if promise is None:
            raise SettingsError("nothing is promised; give --drop 1%, --disagreement 1% or --brier 1%")
        bundle = open_bundle(find_bundle(args.bundle))
        manifest = bundle.manifest
        way = Way.of(manifest, args.policy, args.branches)
        evidence = _evidence(args, bundle)
        halves = halves_of(evidence, units_of(evidence, temporal=way.temporal, block=args.block))
        certificate = certify(halves, way.path(), promise, manifest, looked_at=looked_at(manifest, evidence.origin))
        if not args.dry_run:
            write_certificate(bundle, certificate)
        if args.json:
            print(json.dumps(certificate_record(certificate), indent=1, ensure_ascii=False))
        else:
            print(certificate_page(certificate, manifest))
        return DONE


CERTIFY = CertifyCommand()


def add_promise(parser: argparse.ArgumentParser) -> None:
    """The flags of a promise: here, and where bundles are built."""
    promise = parser.add_argument_group("promise")
    promise.add_argument("--drop", metavar="SHARE", help="accuracy that exits may cost at most, such as 1%%")
    promise.add_argument("--disagreement", metavar="SHARE", help="samples answered otherwise than by the whole network")
    promise.add_argument("--brier", metavar="SHARE", help="Brier score, halved, above that of the whole network")
    promise.add_argument(
        "--confidence", metavar="SHARE", default="95%", help="of the promise (default: 95%%); none for crc"
    )
    promise.add_argument(
        "--method",
        metavar="NAME",
        help="ltt, wsr or crc (default: ltt where it is exact, else wsr): see docs/guarantees.md",
    )
    promise.add_argument(
        "--policy",
        default="confidence",
        metavar="NAME",
        help="whose thresholds are chosen (default: confidence); POLICY+RULE stands over a rule, such as "
        "difference+confidence:0.9",
    )


def promise_from(args: argparse.Namespace) -> "Promise | None":
    """None where the flags promise nothing.

    Raises:
        SettingsError: Two promises at once, or one that means nothing.
    """
    from offramp.exits.certify import Promise
    from offramp.exits.losses import Loss
    from offramp.exits.risk import Method
    from offramp.registry import unknown

    given = {loss: getattr(args, loss) for loss in Loss if getattr(args, loss) is not None}
    if not given:
        return None
    if len(given) > 1:
        raise SettingsError(f"a certificate is about one loss, not about {' and '.join(given)}; keep one of them")
    (loss,) = given
    if args.method is not None and args.method not in list(Method):
        raise SettingsError(unknown("method", args.method, list(Method)))
    return Promise(
        loss=loss,
        epsilon=parse_share(given[loss]),
        delta=float(f"{1 - parse_share(args.confidence):.12g}"),
        method=Method(args.method) if args.method else None,
    )


def _evidence(args: argparse.Namespace, bundle: "Bundle") -> "Evidence":
    if (args.tape is None) == (args.data is None):
        raise SettingsError("samples come from --data, such as cifar10:PATH, or from a --tape; give one of the two")
    return _of_tape(args, bundle.manifest) if args.tape is not None else _of_data(args, bundle)


def _of_tape(args: argparse.Namespace, manifest: "Manifest") -> "Evidence":
    from offramp.exits.evidence import evidence_of
    from offramp.planning.attach import refuse_another_model
    from offramp.tape.reader import open_tape

    tape = open_tape(args.tape)
    refuse_another_model(manifest, tape)
    return evidence_of(tape, args.subset)


def _of_data(args: argparse.Namespace, bundle: "Bundle") -> "Evidence":
    from offramp.measure.calibration import another_source, calibration_part, listen
    from offramp.runtime.onnx_backend import OnnxRuntime

    part = calibration_part(bundle.manifest, args.data, limit=args.limit)
    if warning := another_source(bundle.manifest, part):
        print(f"warning: {warning}", file=sys.stderr)
    print(f"running {len(part):,} calibration samples of {part.name} …", file=sys.stderr, flush=True)
    with OnnxRuntime(bundle, capacity=2 * len(bundle.manifest.cuts)) as runtime:
        return listen(bundle, runtime, part)
