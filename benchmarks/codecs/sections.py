"""What the chapter says of plans over thin links, of rates chosen for each sample, and of bottlenecks for one rate."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.codecs.choosing import MANY, MANY_OR_EXIT, WAYS
from benchmarks.codecs.sides import RAW, SIDES, STRATEGY, WITH, WITHOUT
from benchmarks.codecs.singles import APART

Record = Mapping[str, Any]
_TITLES = {side.name: side.title for side in SIDES}
_NUMBERS, _APART_BY = ("mean ms", "p95 ms", "right %", "bytes", "sent %"), "all codecs take ms"
_BEFORE, _ON_AVERAGE = "before the split", "executed on average"
NOTHING = 5e-4
"""A share of this or less is none."""


def line(cells: Sequence[str]) -> str:
    """Of a table."""
    return f"| {' | '.join(cells)} |"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [line(head), line(["---"] * len(head)), *map(line, rows), ""]


def over_links(record: Record) -> list[str]:
    """Every side's plan over every link."""
    found = record.get("contests")
    if not found:
        return []
    drops = sorted({one["drop"] for one in found})
    places = dict.fromkeys((one["link"], one["board"]) for one in found)
    cells = {(one["link"], one["board"], one["drop"]): _cell(one) for one in found}
    hosts = record["hosts"]
    lines = [
        "#### Over thin links",
        "",
        f"What `{STRATEGY}` chooses over a known link (rate up and down, delay one way), for a board so many times "
        f"slower than this machine, at {record['rate']:g} samples a second and for the accuracy that may be lost, "
        f"judged on calibration samples; each choice is replayed over the test samples. The whole network takes "
        f"{1e3 * hosts['whole']:.2f} ms here. Each cell: milliseconds of an average sample with all codecs; how many "
        f"per cent that is off the best plan that compresses nothing; and off the best one without learned codecs, "
        f"which has the input in every format, quantised features and exits. Bold: the 95 % interval of the last, "
        f"paired by samples, lies below 0.",
        "",
        *table(
            ["link", "board", *(f"{100 * drop:g} % may be lost" for drop in drops)],
            ([link, f"{board:g} ×", *(cells[link, board, drop] for drop in drops)] for link, board in places),
        ),
        _told(found),
        "",
        "Where learned codecs gain most over each link, or all codecs do:",
        "",
        *_best(found),
        *_windows(record.get("windows", [])),
    ]
    return lines + _live(record.get("live"))


def within_reach(record: Record, drop: float) -> list[str]:
    """The fewest bytes at which hardly anything is lost, with exits."""
    found = [
        row
        for key, title in (("within", _BEFORE), ("on_average", _ON_AVERAGE))
        for row in _reached(record, record.get(key) or {}, title)
    ]
    if not found:
        return []
    head = ["at most half on the device", "codecs", "plan", "operations %", "sent %", "bytes", "over float32 ×"]
    return [
        f"With exits, and a rate for each sample: the plan of fewest bytes of which calibration samples say, with 95 % "
        f"confidence, that it loses no more than {100 * drop:g} point, and what it does on test samples; one half of "
        f"the calibration samples finds the plans, the other one says it of them in turn, those first that surely lose "
        f"least, up to the first that it cannot be said of (fixed-sequence testing). At most half on the device: "
        f"half of the operations come before the split, or the device executes no more for an average sample. Bytes "
        f"are of an average sample, and who leaves takes none; operations are those that the device executes, branches "
        f"and encoder included; each end of the interval is passed once in twenty times.",
        "",
        *table([*head, "points lost"], found),
    ]


def _reached(record: Record, found: Record, title: str) -> Iterator[list[str]]:
    """Sides that have the same plan share a row."""
    for plan in dict.fromkeys(one["plan"] for one in found.values()):
        names = [name for name, one in found.items() if one["plan"] == plan]
        one = found[names[0]]
        lost = f"{100 * one['lost']:.2f} ({100 * one['low']:.2f} to {100 * one['high']:.2f})"
        cells = [title, "; ".join(_TITLES[name] for name in names), f"`{plan}`"]
        cells += [f"{100 * one[share]:.0f}" for share in ("operations", "sent")]
        yield [*cells, f"{one['bytes']:,.0f}", f"{over_float32(record, one):,.0f}", lost]


def rates(record: Record) -> list[str]:
    """Rates that are chosen for each sample."""
    found = record.get("choices")
    if not found:
        return []
    ways = {way.name: way.title for way in WAYS}
    ways |= {MANY: "every tenth its own", MANY_OR_EXIT: "every tenth its own, or an exit"}
    rows = []
    for point in found["points"]:
        cells = [f"`{point['codec']}`", f"{100 * point['accuracy']:.2f}", f"{point['bytes']:,.0f}"]
        rows.append([*cells, *(_saved(point["ways"][name]) for name in ways)])
    return [
        "#### A rate for each sample",
        "",
        "On calibration samples, each rule is the one of fewest bytes that is as accurate as a single rate. What they "
        "do on test samples: right %, bytes of an average sample (who leaves at the branch takes none), and bytes "
        "saved against the mixture of single rates, drawn by lot, that is as accurate, with its 95 % interval. *Every "
        "tenth its own*: each tenth of the branch's confidences has a rate, which no plan can say.",
        "",
        *table(["single rate", "right %", "bytes", *ways.values()], rows),
        *_latencies(found),
        *_own_rates(found),
    ]


def _own_rates(found: Record) -> list[str]:
    """Of codes that choose for themselves."""
    if not found.get("own"):
        return []
    rows = []
    for one in found["own"]:
        cells = [f"`{one['codec']}`", f"{100 * one['accuracy']:.2f}", f"{one['bytes']:,.0f}"]
        cells.append(f"{100 * one['saved']:.0f} % ({100 * one['low']:.0f} to {100 * one['high']:.0f})")
        rows.append([*cells, f"`{one['rival']}`", *_instead(one)])
    return [
        "A code that chooses its own rate, by a linear probe of its channels and without any branch: all that "
        "calibration samples find more accurate than the branch. Bytes saved and latency as above.",
        "",
        *table(["codec", "right %", "bytes", "saved", "against", *(f"{link}, ms" for link in found["links"])], rows),
    ]


def singles(record: Record) -> list[str]:
    """Bottlenecks that learned on for one rate."""
    found = record.get("singles")
    if not found:
        return []
    rows = []
    for one in found:
        gap = 100 * (one["alone"] - one["onward"])
        cells = [f"{one['sent']} × {one['bits']}", f"{one['nbytes']:,.0f}"]
        cells += [f"{100 * one[who]:.2f}" for who in ("shared", "onward", "alone")]
        cells.append(f"{gap:+.2f} ({100 * one['low']:+.2f} to {100 * one['high']:+.2f})")
        rows.append([f"**{cell}**" for cell in cells] if gap > APART else cells)
    head = ["channels × bits", "bytes", "for all rates", "the same, learned on", "learned on for this rate alone"]
    return [
        "#### One for all rates, and one for each",
        "",
        f"Right % on test samples of the bundle's bottleneck; of the same after {record['singles_taught']} more, at "
        f"all rates; and after as many at this rate alone. The difference is that of the last two, with its 95 % "
        f"interval; bytes without an entropy stage. Bold: more than {APART:g} points.",
        "",
        *table([*head, "difference"], rows),
    ]


def over_float32(record: Record, near: Record) -> float:
    """Bytes of the feature at the plan's split over those of an average sample; infinite where nothing is sent."""
    nbytes = float(near["bytes"])
    return record["features"][near["split"]] / nbytes if nbytes else float("inf")


def gain(contest: Record, rival: str) -> float:
    """Share of the rival's mean latency that all codecs take less."""
    return float((0.0 - contest["against"][rival]["difference"]) / contest["sides"][rival]["mean"])


def _cell(contest: Record) -> str:
    without, learned = gain(contest, RAW), gain(contest, WITHOUT)
    text = f"{1e3 * contest['sides'][WITH]['mean']:.1f}, {_percent(without)}, {_percent(learned)}"
    return f"**{text}**" if contest["against"][WITHOUT]["high"] < 0 else text


def _percent(share: float) -> str:
    return "0" if abs(share) <= NOTHING else f"{-100 * share:+.0f}"


def _told(found: Sequence[Record]) -> str:
    learned = [one for one in found if one["against"][WITHOUT]["high"] < 0]
    compressed = [one for one in found if one["against"][RAW]["high"] < 0]
    worse = [one for one in found if one["against"][WITHOUT]["low"] > 0]
    text = (
        f"All codecs beat the best plan that compresses nothing in {len(compressed)} of {len(found)} cases, and the "
        f"best one without learned codecs in {len(learned)}"
    )
    if learned:
        text += f", by {_percent(min(gain(one, WITHOUT) for one in learned))} to "
        text += f"{_percent(max(gain(one, WITHOUT) for one in learned))} %"
    return text + f"; they are worse in {len(worse)}. In the others the same plan is taken, or nothing is certain."


def _best(found: Sequence[Record]) -> list[str]:
    head = [
        "link",
        "board",
        "may be lost",
        "codecs",
        "plan",
        "mean ms",
        "p95 ms",
        "right %",
        "bytes",
        "sent %",
        _APART_BY,
    ]
    rows = []
    for link in dict.fromkeys(one["link"] for one in found):
        best = max((one for one in found if one["link"] == link), key=lambda one: (gain(one, WITHOUT), gain(one, RAW)))
        sides = {name: best["sides"][name] for name in (WITH, WITHOUT, RAW)}
        for plan in dict.fromkeys(there["plan"] for there in sides.values()):
            names = [name for name, there in sides.items() if there["plan"] == plan]
            cells = [link, f"{best['board']:g} ×", f"{100 * best['drop']:g} %"]
            cells += ["; ".join(_TITLES[name] for name in names), f"`{plan}`"]
            rows.append([*cells, *_numbers(sides[names[0]]), _apart(best["against"].get(names[0]))])
    return table(head, rows)


def _windows(found: Sequence[Record]) -> list[str]:
    if not found:
        return []
    rows = []
    for one in found:
        pays = "none" if one["to"] <= one["from"] else f"{one['from']:.0f} to {one['to']:.0f} ×"
        rows.append([one["link"], f"from {one['from']:.0f} ×", f"up to {one['to']:.0f} ×", pays])
    head = ["link", "faster than the device alone", "faster than the input", "boards for which it pays"]
    return [
        f"Why: a fast board answers by itself, and a slow one is sooner done with sending its input. Without exits and "
        f"queues, `{found[0]['codec']}`, the most accurate learned codec, against the whole network on the device, and "
        f"against `{found[0]['rival']}`, the cheapest input as accurate:",
        "",
        *table(head, rows),
    ]


def _live(live: Record | None) -> list[str]:
    if not live:
        return []
    head = ["codecs", "plan followed most", *_NUMBERS, _APART_BY]
    rows = []
    for name, there in live["sides"].items():
        plan = max(there["plans"], key=there["plans"].__getitem__)
        rows.append([_TITLES[name], f"`{plan}`", *_numbers(there), _apart(live["against"].get(name))])
    return [
        f"The same for real, over {live['link']} with a board {live['board']:g} times slower, where "
        f"{100 * live['drop']:g} % may be lost: {live['samples']} samples through the proxy, plans by an orchestrator "
        f"that knows one side's codecs.",
        "",
        *table(head, rows),
    ]


def _numbers(run: Record) -> list[str]:
    return [
        f"{1e3 * run['mean']:.1f}",
        f"{1e3 * run['p95']:.1f}",
        f"{100 * run['accuracy']:.2f}",
        f"{run['bytes']:,.0f}",
        f"{100 * run['sent']:.0f}",
    ]


def _saved(way: Record) -> str:
    return (
        f"{100 * way['accuracy']:.2f}, {way['bytes']:,.0f}: {100 * way['saved']:.0f} % "
        f"({100 * way['low']:.0f} to {100 * way['high']:.0f})"
    )


def _latencies(found: Record) -> list[str]:
    """Of the rules that plans can follow, against the cheapest single rate as accurate."""
    if not found["points"]:
        return []
    head = ["plan", "right %", "bytes", "against", *(f"{link}, ms" for link in found["links"])]
    rows = []
    for way in WAYS:
        best = max((point["ways"][way.name] for point in found["points"]), key=lambda one: one["low"])
        cells = [f"`{best['plan']}`", f"{100 * best['accuracy']:.2f}", f"{best['bytes']:,.0f}", f"`{best['rival']}`"]
        rows.append([*cells, *_instead(best)])
    return [
        f"Latency of the surest savings of each way, against the cheapest single rate as accurate, replayed with a "
        f"board {found['board']:g} times slower than this machine:",
        "",
        *table(head, rows),
    ]


def _instead(way: Record) -> list[str]:
    """Milliseconds over each link, and the rival's."""
    times = zip(way["latency"], way["rival_latency"], strict=True)
    return [f"{1e3 * own:.1f} to {1e3 * other:.1f}" for own, other in times]


def _apart(apart: Record | None) -> str:
    if apart is None:
        return ""
    difference, low, high = (1e3 * apart[name] for name in ("difference", "low", "high"))
    return f"{difference:+.1f} ({low:+.1f} to {high:+.1f})"
