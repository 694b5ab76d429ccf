"""The cases of `benchmarks.road`, each kind in a process of its own: two gRPC event loops in one process share a
poller and wake each other up, which neither a device nor the reference should pay for.

python -m benchmarks.cases KIND BUNDLE ADDRESS THREADS     prints a line when it is ready; for every number read on
                                                           standard input, that many rounds, as JSON
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from onnxruntime import InferenceSession

from benchmarks.bundles import BRANCH, CODEC, SPLIT
from benchmarks.echo import EchoClient
from benchmarks.harness import Case, shuffled
from benchmarks.raw import open_session
from offramp.bundle.store import Bundle, open_bundle
from offramp.codecs.catalog import open_codec
from offramp.records import Answered, Array
from offramp.registry import Catalogue
from offramp.runtime.threads import configure_threads
from offramp.wire.address import parse_address
from offramp.wire.v1 import inference_pb2 as pb
from offramp_device import Device

WARM_UP = 20
"""Rounds before the first that counts."""


@contextmanager
def road(bundle: Bundle, image: Array, address: str) -> Iterator[dict[str, Case]]:
    """A sample that the edge answers."""
    with Device.open(bundle, edge=address, plan=f"split={SPLIT}, codec={CODEC}") as device:
        _until(lambda: device.infer(image).answered is Answered.EDGE)
        yield {"road": lambda: device.infer(image)}


@contextmanager
def parts(bundle: Bundle, image: Array, address: str) -> Iterator[dict[str, Case]]:
    """The work that such a sample cannot avoid, one after the other."""
    codec = open_codec(CODEC, bundle.manifest, SPLIT)
    head, tail = _open(bundle, 0, SPLIT), _open(bundle, SPLIT, bundle.manifest.end)
    sample = {"feature_0": image[None]}
    payload = codec.encode((head.run(["feature_0_out"], sample)[0],))
    request = pb.Request(ref=1, id=1_000, budget_us=1_000_000, payload=payload)
    frame = pb.ClientFrame(request=request).SerializeToString()
    with EchoClient(parse_address(address)) as echo:

        def all_parts() -> None:
            sent = codec.encode((head.run(["feature_0_out"], sample)[0],))
            echo.ask(frame)
            tail.run(["logits"], {"feature_0": codec.decode(sent)[0]})

        yield {"parts": all_parts}


@contextmanager
def bare(bundle: Bundle, image: Array, address: str) -> Iterator[dict[str, Case]]:
    """The same work at its two ends, with nothing around it: what two processes cost that one does not."""
    codec, head = open_codec(CODEC, bundle.manifest, SPLIT), _open(bundle, 0, SPLIT)
    sample = {"feature_0": image[None]}
    with EchoClient(parse_address(address)) as echo:

        def ask() -> object:
            payload = codec.encode((head.run(["feature_0_out"], sample)[0],))
            request = pb.Request(ref=1, id=1_000, budget_us=1_000_000, payload=payload)
            return echo.ask(pb.ClientFrame(request=request).SerializeToString())

        yield {"bare": ask}


@contextmanager
def pieces(bundle: Bundle, image: Array, address: str) -> Iterator[dict[str, Case]]:
    """The same work, piece by piece: for the details, no claim rests on it."""
    codec = open_codec(CODEC, bundle.manifest, SPLIT)
    head, tail = _open(bundle, 0, SPLIT), _open(bundle, SPLIT, bundle.manifest.end)
    sample = {"feature_0": image[None]}
    (feature,) = head.run(["feature_0_out"], sample)
    payload = codec.encode((feature,))
    with EchoClient(parse_address(address)) as echo:
        yield {
            "head": lambda: head.run(["feature_0_out"], sample),
            "encode": lambda: codec.encode((feature,)),
            "echo": lambda: echo.ask(payload),
            "decode": lambda: codec.decode(payload),
            "tail": lambda: tail.run(["logits"], {"feature_0": feature}),
        }


@contextmanager
def early(bundle: Bundle, image: Array, address: str) -> Iterator[dict[str, Case]]:
    """A sample that leaves at a branch, and ONNX Runtime alone on the same stages."""
    session = _open(bundle, 0, BRANCH, branch=True)
    outputs, sample = ["feature_0_out", "logits", "scores"], {"feature_0": image[None]}
    plan = f"split={SPLIT}, exit=confidence:0@{BRANCH}, codec={CODEC}"
    with Device.open(bundle, edge=address, plan=plan) as device:
        _until(lambda: device.infer(image).exit == BRANCH)
        yield {"exit": lambda: device.infer(image), "branch": lambda: session.run(outputs, sample)}


KINDS = Catalogue(
    "kind of case", [("road", road), ("parts", parts), ("bare", bare), ("pieces", pieces), ("early", early)]
)


def main() -> None:
    kind, path, address, threads = sys.argv[1:]
    configure_threads(int(threads))
    bundle = open_bundle(Path(path))
    image = np.random.default_rng(0).integers(0, 256, bundle.manifest.sample.shape, dtype=np.uint8)
    with KINDS[kind](bundle, image, address) as cases:
        shuffled(cases, rounds=WARM_UP)
        print("ready", flush=True)
        for line in sys.stdin:
            print(json.dumps(shuffled(cases, rounds=int(line))), flush=True)


def _until(holds: Case) -> None:
    for _ in range(100):
        if holds():
            return
        time.sleep(0.05)
    raise RuntimeError("the device does not do what this case measures")


def _open(bundle: Bundle, start: int, stop: int, *, branch: bool = False) -> InferenceSession:
    return open_session(bundle.file(bundle.manifest.segment(start, stop, branch=branch).file), None)


if __name__ == "__main__":
    main()
