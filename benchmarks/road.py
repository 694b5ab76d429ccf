"""What the road adds to the work that cannot be avoided, on loopback.

offloaded     Device.infer through a real edge      against   ORT head + encode + gRPC echo + decode + ORT tail
left early    Device.infer that exits at a branch   against   ONNX Runtime on the same stages with that branch
"""

import sys
from contextlib import ExitStack

import numpy as np
from onnxruntime import InferenceSession

from benchmarks.bundles import BRANCH, CODEC, NETWORKS, SPLIT, bundle_of
from benchmarks.echo import EchoClient
from benchmarks.harness import CORES, Case, Claim, Times, a_parser, interleave, pin, report
from benchmarks.processes import an_echo, an_edge
from benchmarks.raw import open_session
from offramp.bundle.store import Bundle
from offramp.codecs.catalog import open_codec
from offramp.records import Answered, Array
from offramp.runtime.threads import configure_threads
from offramp.wire.v1 import inference_pb2 as pb
from offramp_device import Device

OFFLOADED, LEFT = 1.15, 1.08
ROUNDS = {"resnet20": 2_000, "resnet18": 200, "mobilenet_v2": 500}
"""Enough for about ten seconds each."""
ANSWER_FIELDS = 24
"""Bytes of an answer beside its logits: tags, id, timings."""


def main() -> int:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument("--network", choices=list(NETWORKS), action="append", help="default: all three")
    parser.add_argument("--threads", type=int, default=1, help="of each model, on all sides (default: 1)")
    arguments = parser.parse_args()
    if arguments.pin:
        pin(CORES[0])
    configure_threads(arguments.threads)
    claims: list[Claim] = []
    details = {}
    for name in arguments.network or NETWORKS:
        rounds = ROUNDS[name] // (10 if arguments.quick else 1)
        times = measure(bundle_of(name), rounds, arguments.threads, pinned=arguments.pin)
        claims += judge(name, times)
        details[name] = times.record()
    return report("road", claims, details, arguments)


def judge(name: str, times: Times) -> list[Claim]:
    claims = []
    for what, case, reference, limit in (
        ("offloaded", "road", "parts", OFFLOADED),
        ("left at a branch", "exit", "branch", LEFT),
    ):
        ratio = times.ratio(case, reference)
        took = f"{1e3 * times.p50(case):.3f} over {1e3 * times.p50(reference):.3f} ms"
        detail = f"{took}, {ratio.low:.3f}–{ratio.high:.3f}"
        claims.append(Claim(name=f"{name}, {what}", found=ratio.value, limit=limit, detail=detail))
    return claims


def measure(bundle: Bundle, rounds: int, threads: int, *, pinned: bool) -> Times:
    """Every case over one random sample; those that use the link apart from those that do not."""
    manifest = bundle.manifest
    image = np.random.default_rng(0).integers(0, 256, manifest.sample.shape, dtype=np.uint8)
    with ExitStack() as opened:
        flags = ["--bundle", str(bundle.path), "--threads", str(threads)]
        edge = str(opened.enter_context(an_edge(*flags, pinned=pinned)))
        logits = 4 * manifest.cuts[manifest.end].tensors[0].elements
        echo = opened.enter_context(EchoClient(opened.enter_context(an_echo(logits + ANSWER_FIELDS, pinned=pinned))))
        with Device.open(bundle.path, edge=edge, plan=f"split={SPLIT}, codec={CODEC}") as device:
            assert device.infer(image).answered is Answered.EDGE
            offloaded = interleave({"road": lambda: device.infer(image), **_parts(bundle, image, echo)}, rounds=rounds)
        plan = f"split={SPLIT}, exit=confidence:0@{BRANCH}, codec={CODEC}"
        with Device.open(bundle.path, edge=edge, plan=plan) as device:
            assert device.infer(image).exit == BRANCH
            left = interleave({"exit": lambda: device.infer(image), **_branch(bundle, image)}, rounds=rounds)
    return offloaded | left


def _parts(bundle: Bundle, image: Array, echo: EchoClient) -> dict[str, Case]:
    """The work that cannot be avoided: all of it as `parts`, and piece by piece."""
    codec = open_codec(CODEC, bundle.manifest, SPLIT)
    head, tail = _open(bundle, 0, SPLIT), _open(bundle, SPLIT, bundle.manifest.end)
    sample = {"feature_0": image[None]}
    (feature,) = head.run(["feature_0_out"], sample)
    payload = codec.encode((feature,))
    request = pb.Request(ref=1, id=1_000, budget_us=1_000_000, payload=payload)
    frame = pb.ClientFrame(request=request).SerializeToString()

    def parts() -> None:
        sent = codec.encode((head.run(["feature_0_out"], sample)[0],))
        echo.ask(frame)
        tail.run(["logits"], {"feature_0": codec.decode(sent)[0]})

    return {
        "parts": parts,
        "head": lambda: head.run(["feature_0_out"], sample),
        "encode": lambda: codec.encode((feature,)),
        "echo": lambda: echo.ask(frame),
        "decode": lambda: codec.decode(payload),
        "tail": lambda: tail.run(["logits"], {"feature_0": feature}),
    }


def _branch(bundle: Bundle, image: Array) -> dict[str, Case]:
    """ONNX Runtime alone up to the branch."""
    session = _open(bundle, 0, BRANCH, branch=True)
    outputs, sample = ["feature_0_out", "logits", "scores"], {"feature_0": image[None]}
    return {"branch": lambda: session.run(outputs, sample)}


def _open(bundle: Bundle, start: int, stop: int, *, branch: bool = False) -> InferenceSession:
    return open_session(bundle.file(bundle.manifest.segment(start, stop, branch=branch).file), None)


if __name__ == "__main__":
    sys.exit(main())
