"""What the road adds to the work that cannot be avoided, on loopback.

offloaded     Device.infer through a real edge      against   ORT head + encode + gRPC echo + decode + ORT tail
left early    Device.infer that exits at a branch   against   ONNX Runtime on the same stages with that branch
"""

import sys
from contextlib import ExitStack

from benchmarks.bundles import CODEC, NETWORKS, SPLIT, bundle_of
from benchmarks.harness import BLOCKS, Claim, Times, a_parser, alternate, report
from benchmarks.processes import Worker, a_bare_edge, an_echo, an_edge
from offramp.bundle.store import Bundle

OFFLOADED, LEFT = 1.15, 1.08
ROUNDS = {"resnet20": 3_000, "resnet18": 300, "mobilenet_v2": 800}
"""About ten seconds each."""
ANSWER_FIELDS = 24
"""Bytes of an answer beside its logits: tags, id, timings."""


def main() -> int:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument("--network", choices=list(NETWORKS), action="append", help="default: all three")
    parser.add_argument("--threads", type=int, default=1, help="of each model, on all sides (default: 1)")
    arguments = parser.parse_args()
    claims: list[Claim] = []
    details = {}
    for name in arguments.network or NETWORKS:
        rounds = ROUNDS[name] // (10 if arguments.quick else 1)
        times = measure(bundle_of(name), rounds, arguments.threads, pinned=arguments.pin)
        apart = f"{times.ratio('road', 'bare').value:.3f} of the same work bare in two processes"
        claims += [
            judge(f"{name}, offloaded", times, "road", "parts", OFFLOADED, apart),
            judge(f"{name}, left at a branch", times, "exit", "branch", LEFT),
        ]
        details[name] = times.record()
    return report("road", claims, details, arguments)


def measure(bundle: Bundle, rounds: int, threads: int, *, pinned: bool) -> Times:
    """Every case over one random sample; the processes take turns."""
    manifest = bundle.manifest
    answer = 4 * manifest.cuts[manifest.end].tensors[0].elements + ANSWER_FIELDS
    with ExitStack() as opened:
        flags = ["--bundle", str(bundle.path), "--threads", str(threads)]
        edge = opened.enter_context(an_edge(*flags, pinned=pinned))
        echo = opened.enter_context(an_echo(answer, pinned=pinned))
        bare = opened.enter_context(a_bare_edge(bundle.path, SPLIT, CODEC, threads, pinned=pinned))
        sides = {"road": edge, "parts": echo, "bare": bare, "pieces": echo, "early": edge}
        workers = [
            opened.enter_context(Worker("benchmarks.cases", kind, bundle.path, address, threads, pinned=pinned))
            for kind, address in sides.items()
        ]
        return alternate([worker.rounds for worker in workers], rounds=rounds)


def judge(name: str, times: Times, case: str, reference: str, limit: float, more: str = "") -> Claim:
    ratio = times.ratio(case, reference)
    took = f"{1e3 * times.p50(case):.3f} over {1e3 * times.p50(reference):.3f} ms"
    detail = f"{took}, {ratio.low:.3f} to {ratio.high:.3f} in {BLOCKS} blocks"
    return Claim(name=name, found=ratio.value, limit=limit, detail=f"{detail}; {more}" if more else detail)


if __name__ == "__main__":
    sys.exit(main())
