"""`offramp bundle certify DIR`: the most lenient exit rule that keeps a promise, written into the bundle."""

import argparse
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from offramp.bundle.shipped import find_bundle
from offramp.cli import DONE
from offramp.errors import SettingsError
from offramp.inspect.evidence_flags import add_evidence, evidence_from
from offramp.units import parse_share

if TYPE_CHECKING:
    from offramp.planning.certifying import Order

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
        add_evidence(parser)
        parser.add_argument("--branches", metavar="CUTS", help="that may be asked, such as 2,4 (default: all)")
        parser.add_argument("--block", type=int, metavar="N", help="count N neighbours of a stream as one draw")
        parser.add_argument("--dry-run", action="store_true", help="print the certificate, and write nothing")
        add_promise(parser)

    def run(self, args: argparse.Namespace) -> int:
        from offramp.bundle.store import open_bundle
        from offramp.exits.certificate import write_certificate
        from offramp.inspect.certificate_page import certificate_page, certificate_record
        from offramp.planning.certifying import certified
        from offramp.planning.ways import Way

        order = order_from(args)
        if order is None:
            raise SettingsError("nothing is promised; give --drop 1%, --disagreement 1% or --brier 1%")
        order = replace(order, branches=args.branches, block=args.block)
        bundle = open_bundle(find_bundle(args.bundle))
        Way.of(bundle.manifest, order.policy, order.branches)  # what cannot be is said before anything is run
        certificate = certified(evidence_from(args, bundle), order, bundle.manifest)
        if not args.dry_run:
            write_certificate(bundle, certificate)
        if args.json:
            print(json.dumps(certificate_record(certificate), indent=1, ensure_ascii=False))
        else:
            print(certificate_page(certificate, bundle.manifest))
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
        "--together", action="store_true", help="one threshold for all branches, instead of tuning each of them"
    )
    promise.add_argument(
        "--policy",
        default="confidence",
        metavar="NAME",
        help="whose thresholds are chosen (default: confidence); POLICY+RULE stands over a rule, such as "
        "difference+confidence:0.9",
    )


def order_from(args: argparse.Namespace) -> "Order | None":
    """None where the flags promise nothing.

    Raises:
        SettingsError: Two promises at once, or one that means nothing.
    """
    from offramp.exits.certify import Promise
    from offramp.exits.losses import Loss
    from offramp.exits.risk import Method
    from offramp.planning.certifying import Order
    from offramp.registry import unknown

    given = {loss: getattr(args, loss) for loss in Loss if getattr(args, loss) is not None}
    if not given:
        return None
    if len(given) > 1:
        raise SettingsError(f"a certificate is about one loss, not about {' and '.join(given)}; keep one of them")
    (loss,) = given
    methods = [method.value for method in Method]
    if args.method is not None and args.method not in methods:
        raise SettingsError(unknown("method", args.method, methods))
    promise = Promise(
        loss=loss,
        epsilon=parse_share(given[loss]),
        delta=float(f"{1 - parse_share(args.confidence):.12g}"),
        method=Method(args.method) if args.method else None,
    )
    promise.of("sample")  # what nobody can promise is said at once
    return Order(promise=promise, policy=args.policy, together=args.together)
