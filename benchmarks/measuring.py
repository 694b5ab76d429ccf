"""What measuring costs, how fast a changed link is known, and how calm the estimate is while nothing changes.

a link on paper (`simulated_link`)   10 offloads a second, round trips of 10 to 60 ms, exponential jitter
Speeds.note                          what every segment and codec pays to be timed while serving
"""

import sys
import time
from itertools import product
from typing import Any

from benchmarks.harness import Claim, a_parser, report
from benchmarks.simulated_link import SimulatedLink
from offramp.measure.link import LinkEstimate, LinkEstimator
from offramp.measure.speeds import Speeds
from offramp.units import Seconds

FAST, SLOW = 20e6, 1e6
ROUND_TRIPS = (0.010, 0.030, 0.060)
JITTERS = (0.0001, 0.0002, 0.0005, 0.001, 0.002)
MIXED, SMALL = (1_000, 10_000), (1_000, 1_000)
UPLOAD = 2_000
"""Bytes of the payload whose time a plan would be chosen by."""
RIGHT, NEAR = 0.25, 0.15
"""What an estimate of the rate, and of the time of an upload, may be off."""
NEVER = 31


def main() -> int:
    arguments = a_parser(__doc__.partition("\n")[0]).parse_args()
    seeds, samples = (5, 2_000) if arguments.quick else (30, 10_000)
    falls = {
        (sizes, jitter): max(offloads_until_seen(FAST, SLOW, trip, jitter, sizes, seed) for trip, seed in grid(seeds))
        for sizes, jitter in product((MIXED, SMALL), JITTERS)
    }
    rises = {jitter: [rise_is_seen(trip, jitter, seed) for trip, seed in grid(seeds)] for jitter in JITTERS}
    calm = [calmness(*case, samples) for case in product((FAST, SLOW), ROUND_TRIPS, JITTERS)]
    claims = [
        Claim(name="sent + answered + estimate", found=link_cost() * 1e6, limit=20.0, unit="µs"),
        Claim(name="Speeds.note", found=note_cost() * 1e6, limit=2.0, unit="µs"),
        Claim(
            name="offloads until 20 → 1 Mbit/s is known, 1 to 10 kB",
            found=max(falls[MIXED, jitter] for jitter in JITTERS),
            limit=3,
            unit="",
            detail=f"worst of {seeds * len(ROUND_TRIPS) * len(JITTERS)}, jitter up to 2 ms",
        ),
        Claim(
            name="offloads until 20 → 1 Mbit/s is known, all of 1 kB",
            found=max(falls[SMALL, jitter] for jitter in JITTERS if jitter <= 0.0002),
            limit=3,
            unit="",
            detail="jitter up to 0.2 ms; worst by ms of jitter: "
            + ", ".join(f"{jitter * 1e3:g}: {_count(falls[SMALL, jitter])}" for jitter in JITTERS),
        ),
        Claim(
            name="1 → 20 Mbit/s known within 3 offloads, or unknown and said so",
            found=share([seen for jitter in JITTERS if jitter <= 0.0005 for seen in rises[jitter]]),
            limit=0.95,
            at_most=False,
            unit="",
            detail="jitter up to 0.5 ms; by ms of jitter: "
            + ", ".join(f"{jitter * 1e3:g}: {share(rises[jitter]):.2f}" for jitter in JITTERS),
        ),
        Claim(
            name=f"steady link: error of the time of {UPLOAD} bytes",
            found=max(error for error, _ in calm),
            limit=NEAR,
            unit="",
            detail=f"worst of {len(calm)} × {samples:,} offloads of 1 to 10 kB",
        ),
        Claim(name="steady link: changes that were none", found=max(changes for _, changes in calm), limit=1, unit=""),
    ]
    details: dict[str, Any] = {
        "falls": {f"{sizes}, {jitter}": worst for (sizes, jitter), worst in falls.items()},
        "rises": {str(jitter): share(seen) for jitter, seen in rises.items()},
    }
    return report("measuring", claims, details, arguments)


def grid(seeds: int) -> list[tuple[float, int]]:
    return list(product(ROUND_TRIPS, range(seeds)))


def share(seen: list[bool]) -> float:
    return sum(seen) / len(seen)


def a_known_link(rate: float, trip: float, jitter: float, sizes: tuple[int, int], seed: int) -> SimulatedLink:
    """After the two pings with which a session begins, and six seconds of offloads."""
    link = SimulatedLink(rate, trip, jitter, seed)
    for nbytes in (60, 1_280):
        link.offload(nbytes)
        link.settle()
    link.offload_some(60, *sizes)
    link.settle()
    return link


def offloads_until_seen(
    before: float, after: float, trip: float, jitter: float, sizes: tuple[int, int], seed: int
) -> int:
    """The answers after the step until the rate is within 25 % of the new one."""
    link = a_known_link(before, trip, jitter, sizes, seed)
    link.rate = after
    for count in range(1, NEVER):
        link.offload_some(1, *sizes)
        link.settle()
        if abs(_estimate(link).bandwidth / after - 1) <= RIGHT:
            return count
    return NEVER


def rise_is_seen(trip: float, jitter: float, seed: int) -> bool:
    """Within three offloads the rate is within 25 %; or, where so few bytes cannot tell a fast link's rate through the
    jitter, the time of an upload is within 15 % and the true rate not denied by more than two deviations.
    """
    link = a_known_link(SLOW, trip, jitter, MIXED, seed)
    link.rate = FAST
    for _ in range(3):
        link.offload_some(1, *MIXED)
        link.settle()
        found = _estimate(link)
        deviation = 1 / found.bandwidth - 1 / found.bandwidth_high
        near = abs((found.round_trip + 8 * UPLOAD / found.bandwidth) / link.takes(UPLOAD) - 1) <= NEAR
        honest = abs(1 / found.bandwidth - 1 / FAST) <= 2 * deviation
        if abs(found.bandwidth / FAST - 1) <= RIGHT or (near and honest):
            return True
    return False


def calmness(rate: float, trip: float, jitter: float, samples: int) -> tuple[float, int]:
    """(worst error of the time of an upload, changes that were none) after the first minute."""
    link = a_known_link(rate, trip, jitter, MIXED, seed=1)
    link.offload_some(540, *MIXED)
    before, worst = _estimate(link).changes, 0.0
    for _ in range(samples):
        link.offload_some(1, *MIXED)
        found = _estimate(link)
        worst = max(worst, abs((found.round_trip + 8 * UPLOAD / found.bandwidth) / link.takes(UPLOAD) - 1))
    return worst, found.changes - before


def link_cost(rounds: int = 20_000) -> float:
    """Seconds of all three calls that a sample costs."""
    estimator = LinkEstimator()
    before = time.perf_counter()
    for number in range(rounds):
        now = 0.1 * number
        estimator.sent(number, 2_000 + number % 3_000, Seconds(now))
        estimator.answered(number, Seconds(0.003), Seconds(now + 0.03 + number % 7 * 1e-4))
        estimator.estimate(Seconds(now + 0.04))
    return (time.perf_counter() - before) / rounds


def note_cost(rounds: int = 100_000) -> float:
    speeds = Speeds()
    before = time.perf_counter()
    for number in range(rounds):
        speeds.note("encode 3:affine8+zstd", 1e-3 + number % 7 * 1e-5)
    return (time.perf_counter() - before) / rounds


def _estimate(link: SimulatedLink) -> LinkEstimate:
    found = link.estimator.estimate(Seconds(link.now))
    assert found is not None  # it has been talked over
    return found


def _count(offloads: int) -> str:
    return "never" if offloads == NEVER else str(offloads)


if __name__ == "__main__":
    sys.exit(main())
