"""What issue and documentation promise of codecs, as found in a record."""

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import numpy as np

from benchmarks.codecs import choosing
from benchmarks.codecs.chapter import spots_in
from benchmarks.codecs.sections import gain, over_float32
from benchmarks.codecs.sides import RAW, WITH, WITHOUT
from benchmarks.codecs.singles import APART
from benchmarks.codecs.spots import cheapest, duels
from benchmarks.codecs.tasks import Task
from benchmarks.harness import Claim
from offramp.wire.framing import REQUEST_FIELDS

FRAMING, POINTS, SAVED, RATIO, GAINED = 20, 4, 0.25, 256, 0.01
"""Bytes of a request's fields, operating points, share of bytes, times, share of the latency: what was promised."""


def claims_of(task: Task, record: dict[str, Any]) -> list[Claim]:
    """Of one task, the limits beside what was found."""
    spots = spots_in(record)
    found = duels(spots, half=task.half)
    near = cheapest([duel.spot for duel in found], record["whole"] - task.drop)
    ratio = record["features"][near.split] / near.payload if near else 0.0
    claims = [
        Claim(
            name=f"{task.name}: points where nothing else is as good",
            found=float(sum(duel.ratio > 1 for duel in found)),
            limit=POINTS,
            at_most=False,
            unit="",
        ),
        Claim(
            name=f"{task.name}: over the float32 feature",
            found=ratio,
            limit=RATIO,
            at_most=False,
            detail=near.codec if near else f"none is within {100 * task.drop:g} point",
        ),
        Claim(name=f"{task.name}: fields of a request", found=float(REQUEST_FIELDS), limit=FRAMING, unit="B"),
    ]
    if task.payload is not None:
        size = near.payload if near else float("inf")
        claims.append(
            Claim(
                name=f"{task.name}: payload within {100 * task.drop:g} point", found=size, limit=task.payload, unit="B"
            )
        )
    if record.get("singles"):
        gap = max(100 * (one["alone"] - one["onward"]) for one in record["singles"])
        claims.append(Claim(name=f"{task.name}: behind one for the rate alone", found=gap, limit=APART, unit="pt"))
    return [*claims, *_near_claimed(task, record), *_choices_claimed(task, record), *_contests_claimed(task, record)]


def _near_claimed(task: Task, record: dict[str, Any]) -> Iterator[Claim]:
    """Where samples leave, or each has its rate."""
    for key, words in (("within", "with exits"), ("on_average", "with exits, half executed on average")):
        found = record.get(key, {}).get(WITH)
        if not found:
            continue
        detail = (
            f"{100 * found['lost']:.2f} points lost, {100 * found['operations']:.0f} % of the operations, "
            f"{found['plan']}"
        )
        name = f"{task.name}: {words}, {{}} within {100 * task.drop:g} point"
        if task.payload is not None:
            yield Claim(name=name.format("payload"), found=found["bytes"], limit=task.payload, unit="B", detail=detail)
        ratio = over_float32(record, found)
        yield Claim(name=name.format("over float32"), found=ratio, limit=RATIO, at_most=False, detail=detail)


def _choices_claimed(task: Task, record: dict[str, Any]) -> Iterator[Claim]:
    """The median over single rates, or over codecs that choose for themselves."""
    found = record.get("choices") or {"points": []}
    ways = {way.title: [point["ways"][way.name] for point in found["points"]] for way in choosing.WAYS}
    for title, points in {**ways, "a rate that the code chooses": found.get("own", [])}.items():
        if not points:
            continue
        saved = float(np.median([one["saved"] for one in points]))
        pairs = [pair for one in points for pair in zip(one["latency"], one["rival_latency"], strict=True)]
        slower = [own / rival - 1 for own, rival in pairs]
        detail = f"latency {100 * min(slower):+.0f} to {100 * max(slower):+.0f} %"
        name = f"{task.name}: saved by {title}"
        yield Claim(name=name, found=saved, limit=SAVED, at_most=False, unit="", detail=detail)


def _contests_claimed(task: Task, record: dict[str, Any]) -> Iterator[Claim]:
    """Over each link, where it is most."""
    found = record.get("contests", [])
    for link in dict.fromkeys(one["link"] for one in found):
        for rival, words in ((RAW, "compressing"), (WITHOUT, "learning")):
            gained, best = max(((gain(one, rival), one) for one in found if one["link"] == link), key=itemgetter(0))
            yield Claim(
                name=f"{task.name}: gained over {link} by {words}",
                found=gained,
                limit=GAINED,
                at_most=False,
                unit="",
                detail=f"board {best['board']:g} ×, {100 * best['drop']:g} % may be lost",
            )
