"""Flags of commands that ask what a bundle says about samples that nobody learned from."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from offramp.errors import SettingsError

if TYPE_CHECKING:
    from offramp.bundle.manifest import Manifest
    from offramp.bundle.store import Bundle
    from offramp.exits.evidence import Evidence


def add_evidence(parser: argparse.ArgumentParser) -> None:
    """--data to run, or a --tape to read."""
    samples = parser.add_argument_group("samples")
    samples.add_argument("--data", metavar="KIND:PATH", help="what the bundle was built from")
    samples.add_argument("--limit", type=int, metavar="N", help="the build's, for bundles that do not say it")
    samples.add_argument("--tape", type=Path, metavar="FILE", help="recorded of this bundle, in place of --data")
    samples.add_argument("--subset", default="calibration", help="of the tape (default: calibration)")


def evidence_from(args: argparse.Namespace, bundle: "Bundle") -> "Evidence":
    """
    Raises:
        SettingsError: Neither of the two is given, or both.
        InputError: The data cannot be read, or are not what the bundle takes.
        TapeError: The tape is of another model, or holds nothing of the subset.
    """
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
    from offramp.measure.calibration import calibration_part, listen
    from offramp.runtime.onnx_backend import OnnxRuntime

    part = calibration_part(bundle.manifest, args.data, limit=args.limit)
    print(f"running {len(part):,} calibration samples of {part.name} …", file=sys.stderr, flush=True)
    with OnnxRuntime(bundle, capacity=2 * len(bundle.manifest.cuts)) as runtime:
        return listen(bundle, runtime, part)
