"""For which boards a learned code pays at all, without exits: between two that are better off without it.

    a fast board answers by itself │ a code pays │ a slow board sends the input, and computes nothing

Each of the three takes seconds that grow with how slow the board is: all of the network, the stages before the code, or
none of it. Where the two lines cross in the wrong order, no board is between them.
"""

from collections.abc import Sequence
from typing import Any

from benchmarks.codecs.sides import LINKS, Bench
from benchmarks.codecs.spots import Spot, cheapest
from offramp.plan import via_of
from offramp_evaluation.shaper.link import parse_link


def windows(bench: Bench, spots: Sequence[Spot]) -> list[dict[str, Any]]:
    """Over each link, for the most accurate learned codec and the cheapest input that is as accurate."""
    code = max((spot for spot in spots if spot.learned), key=lambda one: (one.accuracy, -one.payload), default=None)
    rival = cheapest([spot for spot in spots if spot.input], code.accuracy) if code else None
    return [window(bench, link, code, rival) for link in LINKS] if code and rival else []


def window(bench: Bench, link: str, code: Spot, rival: Spot) -> dict[str, Any]:
    """Boards from which on the code is faster than the device alone, and up to which it is faster than the input."""
    board, end = bench.hosts.board, bench.manifest.end
    head, whole = board.segment(0, code.split, via=via_of(code.codec)).expected, board.segment(0, end).expected
    away, other = (_away(bench, link, spot) for spot in (code, rival))
    return {
        "link": link,
        "codec": code.codec,
        "rival": rival.codec,
        "from": away / (whole - head) if whole > head else float("inf"),
        "to": max(0.0, other - away) / head,
    }


def _away(bench: Bench, link: str, spot: Spot) -> float:
    """Seconds from the last stage on the device to the answer."""
    name, edge, now = f"{spot.split}:{spot.codec}", bench.hosts.edge, bench.situation(link)
    tail = edge.segment(spot.split, bench.manifest.end, via=via_of(spot.codec)).expected
    coding = bench.hosts.board.encode[name].expected + edge.decode[name].expected
    return float(coding + 8 * spot.wire / parse_link(link).up + now.round_trip + tail)
