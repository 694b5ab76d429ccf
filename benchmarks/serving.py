"""How much of raw ONNX Runtime an edge passes on to many devices at once.

32 streams ─► offramp edge ─► answers per second        against        ONNX Runtime alone at the batch size reached
"""

import asyncio
import sys
from dataclasses import asdict
from statistics import median

import numpy as np

from benchmarks.bundles import CODEC, SPLIT, bundle_of
from benchmarks.harness import CORES, Claim, a_parser, pin, report
from benchmarks.load import Load, load
from benchmarks.processes import an_edge, run
from offramp.bundle.store import Bundle
from offramp.codecs.catalog import open_codec
from offramp.plan import Plan
from offramp.wire.convert import bind, binding_to_proto

NETWORK = "resnet18"
LIMIT = 0.9
ROUNDS, SECONDS = 5, 4.0


def main() -> int:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1, help="of the model, on both sides (default: 1)")
    arguments = parser.parse_args()
    rounds, seconds = (2, 1.5) if arguments.quick else (ROUNDS, SECONDS)
    bundle = bundle_of(NETWORK)
    payload = _payload(bundle)
    binding = binding_to_proto(bind(Plan(split=SPLIT, codec=CODEC), bundle.manifest))
    if arguments.pin:
        pin(CORES[0])
    loads: list[Load] = []
    raws: list[float] = []
    flags = ["--bundle", str(bundle.path), "--threads", str(arguments.threads)]
    with an_edge(*flags, pinned=arguments.pin) as address:
        for _ in range(rounds):
            loads.append(asyncio.run(load(str(address), binding, payload, arguments.streams, seconds)))
            raws.append(_raw(bundle, round(loads[-1].batch), arguments.threads, seconds, pinned=arguments.pin))
    shares = [one.throughput / raw for one, raw in zip(loads, raws, strict=True)]
    batch = median(one.batch for one in loads)
    claim = Claim(
        name=f"{arguments.streams} streams into a {NETWORK} tail, of raw at batch {batch:.0f}",
        found=median(shares),
        limit=LIMIT,
        at_most=False,
        detail=f"{median(one.throughput for one in loads):.1f} a second, raw {median(raws):.1f}",
    )
    details = {"loads": [asdict(one) for one in loads], "raw": raws, "shares": shares, "payload_bytes": len(payload)}
    return report("serving", [claim], details | {"threads": arguments.threads}, arguments)


def _payload(bundle: Bundle) -> bytes:
    """A feature of random samples, encoded: as large as an untrained network makes it."""
    from offramp.runtime.onnx_backend import OnnxRuntime
    from offramp.runtime.threads import configure_threads

    configure_threads(1)
    runtime = OnnxRuntime(bundle)
    sample = np.random.default_rng(0).integers(0, 256, (1, *bundle.manifest.sample.shape), dtype=np.uint8)
    feature = runtime.open(0, SPLIT, branch=False).run((sample,)).feature
    runtime.close()
    return open_codec(CODEC, bundle.manifest, SPLIT).encode(feature)


def _raw(bundle: Bundle, batch: int, threads: int, seconds: float, *, pinned: bool) -> float:
    return float(run("benchmarks.raw", bundle.path, SPLIT, batch, threads, seconds, pinned=pinned))


if __name__ == "__main__":
    sys.exit(main())
