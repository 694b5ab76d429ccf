"""What a head in int8 gains: time at batch 1 on one thread, against the same network in float32 in the same run.

python -m benchmarks.int8                                    three known networks with random weights: times only
python -m benchmarks.int8 --bundle DIR --data KIND:PATH      one with trained weights and a head in int8: how often both
                                                             say the same of test samples, beside the times
python -m benchmarks.int8 NAME…                              gives these networks their heads, in a process of its own
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bundles import NETWORKS, bundle_of
from benchmarks.harness import CORES, Case, Claim, Times, a_parser, pin, report, shuffled
from offramp.bundle.store import Bundle, open_bundle
from offramp.data import Request, load, split
from offramp.data.labels import relabelled
from offramp.errors import BundleError
from offramp.measure.calibration import seed_of
from offramp.records import Array
from offramp.runtime.onnx_backend import OnnxRuntime, configure_threads

HEAD = "int8"
FASTER, SAME = 1.6, 0.99
SAMPLES = 240
"""Of noise, to quantise networks with whose answers mean nothing."""
BATCH = 64
OWN = "float32"


def main() -> int:
    parser = a_parser("What a head in int8 gains")
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks to quantise; then nothing is measured")
    parser.add_argument("--bundle", type=Path, help="trained, with a head in int8")
    parser.add_argument("--data", help="what it was built from")
    arguments = parser.parse_args()
    if arguments.names:
        for name in arguments.names:
            quantise(name)
        return 0
    if arguments.pin:
        pin(CORES[0])
    configure_threads(1)
    rounds = 40 if arguments.quick else 400
    own = arguments.bundle is not None
    bundles = (
        {arguments.bundle.name: open_bundle(arguments.bundle)} if own else {name: headed(name) for name in NETWORKS}
    )
    claims: list[Claim] = []
    details: dict[str, Any] = {}
    for name, bundle in bundles.items():
        times = measure(bundle, rounds)
        ratio = times.ratio(OWN, HEAD)
        moved = f"{ratio.low:.2f} to {ratio.high:.2f} over the run, {1e3 * times.p50(OWN):.2f} ms in float32"
        claims.append(
            Claim(name=f"{name}, whole network, as fast", found=ratio.value, limit=FASTER, at_most=False, detail=moved)
        )
        details[name] = times.record()
    if own and arguments.data:
        agreed = agreement(bundle, arguments.data)
        details["agreement"] = agreed
        end = agreed[str(bundle.manifest.end)]
        branches = ", ".join(f"{share:.2%} at {cut}" for cut, share in agreed.items())
        claims.append(
            Claim(name="test samples labelled alike", found=end, limit=SAME, at_most=False, unit="", detail=branches)
        )
    return report("int8", claims, details, arguments)


def measure(bundle: Bundle, rounds: int) -> Times:
    """The whole network on the device, in both forms, taking turns."""
    samples, _ = bundle.reference()
    end = bundle.manifest.end
    with OnnxRuntime(bundle) as own, OnnxRuntime(bundle.headed(HEAD)) as other:
        segments = {OWN: own.open(0, end, branch=False), HEAD: other.open(0, end, branch=False)}
        cases: Mapping[str, Case] = {
            name: lambda segment=segment: segment.run((samples[:1],))  # type: ignore[misc]
            for name, segment in segments.items()
        }
        shuffled(cases, rounds=max(5, rounds // 10))
        return Times({name: np.array(seconds) for name, seconds in shuffled(cases, rounds=rounds).items()})


def agreement(bundle: Bundle, spec: str) -> dict[str, float]:
    """By cut of each branch and the end, the share of test samples that both forms label alike."""
    manifest = bundle.manifest
    seed = seed_of(manifest)
    data = load(spec, Request(shape=manifest.sample.shape, seed=seed))
    test = split(relabelled(data, manifest.labels), seed=seed).test.samples
    found = {}
    for cut in [*sorted(branch.cut for branch in manifest.branches), manifest.end]:
        own, other = (_labels(bundle.headed(head), cut, test) for head in ("", HEAD))
        found[str(cut)] = float((own == other).mean())
    return found


def headed(name: str) -> Bundle:
    """A known network with its head, quantised in another process when this machine has none yet."""
    try:
        bundle = open_bundle(_place(name))
        if bundle.manifest.heads:
            return bundle
    except BundleError:
        pass  # none, or half of one
    subprocess.run([sys.executable, "-m", "benchmarks.int8", name], check=True)
    return open_bundle(_place(name))


def quantise(name: str) -> None:
    """Give a network with random weights a head: times do not depend on what the weights are."""
    import shutil

    from offramp.data import DataSet
    from offramp_builder.int8.head import attach_int8

    bundle = bundle_of(name)
    shutil.copytree(bundle.path, _place(name), dirs_exist_ok=True)
    spec = bundle.manifest.sample
    noise = np.random.default_rng(0).integers(0, 256, (SAMPLES, *spec.shape), dtype=np.uint8)
    data = DataSet(
        name="noise",
        sample=spec,
        labels=bundle.manifest.labels,
        samples=noise,
        truth_N=np.zeros(SAMPLES, np.int64),
        group_N=np.arange(SAMPLES),
        part_N=np.zeros(SAMPLES, np.int8),
        digest="",
    )
    attach_int8(open_bundle(_place(name)), data)


def _labels(bundle: Bundle, cut: int, samples: Array) -> Array:
    with OnnxRuntime(bundle) as runtime:
        segment = runtime.open(0, cut, branch=cut < bundle.manifest.end)
        parts = [
            segment.run((np.ascontiguousarray(samples[first : first + BATCH]),)).logits_NK
            for first in range(0, len(samples), BATCH)
        ]
    return np.concatenate([np.asarray(part).argmax(axis=1) for part in parts])


def _place(name: str) -> Path:
    path = bundle_of(name).path
    return path.with_name(f"{path.name}-int8")


if __name__ == "__main__":
    sys.exit(main())
