"""What the control plane costs: a decision, a report that changes nothing, and ten thousand devices on one core.

candidates × copies ─► Search.choose                                        milliseconds for each decision
a parsed report ─► Controller.device_reported, inside its band              microseconds for each report
offramp orchestrate, pinned ◄── 10,000 streams, a report a second each      reports a second, and how soon plans follow
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from statistics import median

import psutil

from benchmarks.fleet import Fleet, Heard
from benchmarks.harness import CORES, ROOT, Claim, a_parser, pin, report
from benchmarks.processes import an_orchestrator
from offramp.bundle.jsonform import to_json
from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle, open_bundle
from offramp.clock import ManualClock
from offramp.measure.profile import Cost, Profile, segment_name
from offramp.planning.candidates import Candidate, Candidates, read_candidates
from offramp.planning.situation import Situation
from offramp.planning.strategies.catalog import open_strategy
from offramp.planning.strategies.strategy import Grounds
from offramp.telemetry import DeviceHello, DeviceReport, EdgeBundle, EdgeHello, LinkEstimate
from offramp.units import BitsPerSecond, Seconds
from offramp.wire.address import Address
from offramp.wire.calling import SERVICE
from offramp.wire.channels import open_aio_channel
from offramp.wire.control import device_report_to_proto, edge_hello_to_proto
from offramp_orchestrator.controller import Controller
from offramp_orchestrator.library import Library, Shelf

DEMO = ROOT / "evaluation/offramp_evaluation/assets/demo"
CANDIDATES = 10_000
DECISION_LIMIT, REPORT_LIMIT = 1e-3, 20e-6
DEVICES, SECONDS, STEPS = 10_000, 15.0, 100
BOARD, SERVER = 2e8, 5e10
"""Multiply-accumulates a second that hosts are taken to do. Stated, not measured: what is timed here is control."""
OVERHEAD = Seconds(50e-6)
"""Of every segment, on top."""


def main() -> int:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=DEVICES)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="that count, after three that do not")
    parser.add_argument("--steps", type=int, default=STEPS, help="links that step each second")
    arguments = parser.parse_args()
    rounds = 30 if arguments.quick else 300
    bundle = open_bundle(DEMO)
    if arguments.pin:
        pin(CORES[0])
    decisions = _decisions(bundle, rounds)
    reports = _quiet_reports(bundle, 100 * rounds)
    with an_orchestrator("--bundle", str(bundle.path), pinned=arguments.pin) as (address, process):
        heard = asyncio.run(_streams(bundle, address, process, arguments))
    claims = [
        Claim(
            name=f"a decision over {CANDIDATES:,} candidates",
            found=1e3 * median(decisions),
            limit=1e3 * DECISION_LIMIT,
            unit="ms",
        ),
        Claim(
            name="a report within the band",
            found=1e6 * median(reports),
            limit=1e6 * REPORT_LIMIT,
            unit="µs",
        ),
        Claim(
            name=f"{arguments.devices:,} streams, reports a second",
            found=heard.reports_a_second,
            limit=0.99 * arguments.devices,
            at_most=False,
            unit="/s",
            detail=f"{heard.controller_cpu:.2f} of a core, {heard.late_slices:.0%} of the load late",
        ),
        Claim(
            name="plans that follow a step within a second",
            found=heard.in_time,
            limit=0.99,
            at_most=False,
            unit="",
            detail=f"p50 {1e3 * heard.push_p50:.1f} ms, p95 {1e3 * heard.push_p95:.1f} ms, of {heard.steps:,}",
        ),
        Claim(
            name="what is still unread when the last report is written",
            found=heard.drained_s,
            limit=1.0,
            unit="s",
        ),
    ]
    details = {"decisions": sorted(decisions), "streams": asdict(heard), "candidates": CANDIDATES}
    return report("control", claims, details, arguments)


def _decisions(bundle: Bundle, rounds: int) -> list[float]:
    """Seconds of each choice, every time in another situation."""
    grounds = Grounds(
        manifest=bundle.manifest,
        candidates=_many(read_candidates(bundle)),
        device=_profile(bundle.manifest, BOARD),
        edge=_profile(bundle.manifest, SERVER),
        clock=ManualClock(),
    )
    strategy = open_strategy("search", grounds)
    seconds = []
    for _ in range(rounds):
        bandwidth = 10 ** random.uniform(5, 7.5)
        situation = Situation(
            bandwidth=BitsPerSecond(bandwidth),
            bandwidth_low=BitsPerSecond(0.9 * bandwidth),
            bandwidth_high=BitsPerSecond(1.1 * bandwidth),
            round_trip=Seconds(0.02),
            rate=5.0,
        )
        seconds.append(_timed(lambda situation=situation: strategy.choose(situation)))  # type: ignore[misc]
    return seconds


def _quiet_reports(bundle: Bundle, rounds: int) -> list[float]:
    """Seconds of each report that stays in its band, as the service hands it over."""
    controller = Controller(Library([Shelf.of(bundle)]), 1, Seconds(0.0))
    controller.edge_joined(_edge(bundle), Seconds(0.0))
    link = LinkEstimate(
        bandwidth=BitsPerSecond(20e6),
        bandwidth_low=BitsPerSecond(18e6),
        bandwidth_high=BitsPerSecond(22e6),
        round_trip=Seconds(0.02),
        round_trip_deviation=Seconds(0.001),
        edge=Seconds(0.005),
        age=Seconds(0.1),
    )
    hello = DeviceHello(
        name="board", profile=_raw(_profile(bundle.manifest, BOARD)), report=DeviceReport(link=link, rate=5.0)
    )
    ((_, order),) = controller.device_joined(hello, Seconds(0.0))
    followed = DeviceReport(link=link, rate=5.0, plan=order.plan, revision=order.revision)
    message = device_report_to_proto(followed).report
    controller.device_reported("board", message, Seconds(1.0))
    return [_timed(lambda: controller.device_reported("board", message, Seconds(2.0))) for _ in range(rounds)]


async def _streams(bundle: Bundle, address: Address, process: int, arguments: argparse.Namespace) -> Heard:
    server = psutil.Process(process)
    async with open_aio_channel(address) as channel:
        call = channel.stream_stream(f"/{SERVICE}/Edge")()
        await call.write(edge_hello_to_proto(_edge(bundle)).SerializeToString())
        await call.read()
        fleet = Fleet(address, arguments.devices, _raw(_profile(bundle.manifest, BOARD)))
        heard = await fleet.run(arguments.seconds, arguments.steps, lambda: sum(server.cpu_times()[:2]))
        call.cancel()
    return heard


def _many(candidates: Candidates) -> Candidates:
    """So many that they are 10,000: copies whose shares and bytes differ a little, so that no two are the same."""
    items = candidates.candidates
    copies = [_varied(items[number % len(items)], number) for number in range(len(items), CANDIDATES)]
    return replace(candidates, candidates=(*items, *copies))


def _varied(item: Candidate, number: int) -> Candidate:
    factor = 1 - 0.1 * random.Random(number).random()
    rule = replace(item.exit, thresholds=tuple((cut, factor * threshold) for cut, threshold in item.exit.thresholds))
    size = item.payload_mean * factor
    return replace(item, exit=rule, payload_mean=size, payload_p95=size, offload=item.offload * factor)


def _profile(manifest: Manifest, macs_per_second: float) -> Profile:
    macs = [stage.macs for stage in manifest.stages]

    def cost(start: int, stop: int) -> Cost:
        seconds = OVERHEAD + sum(macs[start:stop]) / macs_per_second
        return Cost(median=seconds, p95=1.1 * seconds, mean=seconds)

    return Profile(
        model_digest=manifest.model_digest,
        host=f"a host of {macs_per_second:g} multiply-accumulates a second",
        threads=1,
        slowdown=1.0,
        end=manifest.end,
        segments={
            segment_name(one.start, one.stop, branch=one.branch): cost(one.start, one.stop) for one in manifest.segments
        },
        encode={},
        decode={},
    )


def _edge(bundle: Bundle) -> EdgeHello:
    manifest = bundle.manifest
    profile = _raw(_profile(manifest, SERVER))
    served = EdgeBundle(model_digest=manifest.model_digest, name=manifest.name, profile=profile)
    return EdgeHello(name="edge", address="192.0.2.7:50051", bundles=(served,))


def _raw(profile: Profile) -> bytes:
    return json.dumps(to_json(profile)).encode()


def _timed(call: Callable[[], object]) -> float:
    before = time.perf_counter()
    call()
    return time.perf_counter() - before


if __name__ == "__main__":
    sys.exit(main())
