"""The codec chapter of docs/RESULTS.md, with its figures: from the records in docs/records, and from nothing else."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.chapters import FIGURES, PAGE, RECORDS, Shelf, write_between
from benchmarks.codecs.figure import DARK, LIGHT, draw, families
from benchmarks.codecs.sections import line, over_links, rates, singles, within_reach
from benchmarks.codecs.spots import Duel, Spot, cheapest, duels, front
from benchmarks.codecs.tasks import TASKS
from offramp.wire.framing import REQUEST_FIELDS

BEGIN, END = "<!-- codecs: written by python -m benchmarks.codecs --write -->", "<!-- codecs end -->"
_SHOWN = 4
"""Spots of each plain family in the table: its best ones."""
_BELOW = 0.2
"""How far below the whole network's accuracy tables and figures look."""
JPEG = "jpeg:90"
"""The picture as it would be sent by who sends pictures: the fourth denominator."""


def write_chapter() -> int:
    """
    Raises:
        InputError: docs/RESULTS.md has no place for it.
    """
    shelf = Shelf(records=RECORDS, figures=FIGURES, page=PAGE)
    write_between(BEGIN, END, "codecs-*.json", shelf, chapter, figures)
    return 0


def spots_in(record: Mapping[str, Any]) -> list[Spot]:
    return [Spot(**spot) for spot in record["spots"]]


def figures(record: Mapping[str, Any]) -> dict[str, bytes]:
    """SVG by file name."""
    half = TASKS[record["task"]].half
    inside = [spot for spot in spots_in(record) if spot.operations <= half]
    lines = families(inside, record["cuts"])
    title = f"{TASKS[record['task']].title}: right %, splits of at most {100 * half:.0f} % of the operations"
    pages = (("", LIGHT), ("-dark", DARK))
    return {
        f"codecs-{record['task']}{suffix}.svg": draw(lines, record["whole"], title, page, below=_BELOW)
        for suffix, page in pages
    }


def chapter(records: Sequence[Mapping[str, Any]]) -> str:
    """Markdown."""
    return "\n".join(line for record in records for line in _section(record))


def _section(record: Mapping[str, Any]) -> list[str]:
    task, spots = TASKS[record["task"]], spots_in(record)
    name = f"codecs-{task.name}"
    return [
        f"### {task.title}",
        "",
        f"`python -m benchmarks.codecs --task {task.name} --data {record['data']['spec']} --bundle DIR`. The network: "
        f"{record['macs'] / 1e6:.1f} M multiply-accumulates, right {100 * record['whole']:.2f} % on "
        f"{record['data']['test']:,} test samples. Bytes are means over them; *wire* adds all framing "
        f"({REQUEST_FIELDS} bytes of a request's own fields, the rest gRPC and HTTP/2) and the acknowledgement of the "
        f"answer.",
        "",
        *_table(spots, record),
        "",
        *_verdict(duels(spots, half=task.half), record, task.drop),
        *within_reach(record, task.drop),
        *over_links(record),
        *rates(record),
        *singles(record),
        *_times(record),
        "<picture>",
        f'<source media="(prefers-color-scheme: dark)" srcset="figures/{name}-dark.svg">',
        f'<img src="figures/{name}.svg" alt="accuracy over bytes">',
        "</picture>",
        "",
    ]


def _table(spots: Sequence[Spot], record: Mapping[str, Any]) -> list[str]:
    head = ["codec", "at", "operations %", "payload", "wire", "right %", "lost", "alike %"]
    head += ["over float32 ×", "int8 ×", "raw input ×", f"`{JPEG}` ×"]
    lines = [line(head), line(["---"] * len(head))]
    for spot in _worth_showing(spots, record["whole"]):
        feature = record["features"][spot.split]
        jpeg = record["jpeg"]
        beside = (
            [feature, feature / 4, record["features"][0], jpeg]
            if spot.split
            else [None, None, record["features"][0], jpeg]
        )
        cells = [f"`{spot.codec}`", record["cuts"][spot.split], f"{100 * spot.operations:.0f}"]
        cells += [f"{spot.payload:,.0f}", f"{spot.wire:,.0f}", f"{100 * spot.accuracy:.2f}"]
        cells += [f"{100 * (record['whole'] - spot.accuracy):.2f}", f"{100 * spot.alike:.1f}"]
        cells += ["" if whole is None else f"{whole / spot.payload:,.1f}" for whole in beside]
        lines.append(line([f"**{cell}**" if cell else "" for cell in cells] if spot.learned else cells))
    return [*lines, "", "Bold: learned."]


def _worth_showing(spots: Sequence[Spot], whole: float) -> list[Spot]:
    """Of each family the front; of plain ones the most accurate few, and none that is far off."""
    near = [spot for spot in spots if spot.accuracy >= whole - _BELOW]
    learned = front(spot for spot in near if spot.learned)
    pictures = [
        spot
        for base in ("jpeg", "webp", "png", "raw")
        for spot in front(one for one in near if one.input and one.codec.partition(":")[0] == base)
    ]
    splits = sorted({spot.split for spot in near if not spot.input})
    plain = [
        spot
        for split in splits
        for spot in front(one for one in near if one.split == split and not one.learned)[-_SHOWN:]
    ]
    return [*learned, *pictures, *plain]


def _verdict(found: Sequence[Duel], record: Mapping[str, Any], drop: float) -> list[str]:
    if not found:
        return ["No learned codec was recorded.", ""]
    won = [duel for duel in found if duel.ratio > 1]
    sizes = [duel.ratio for duel in won if math.isfinite(duel.ratio)]
    within = cheapest([duel.spot for duel in found], record["whole"] - drop)
    lines = [
        f"At splits of at most {100 * TASKS[record['task']].half:.0f} % of the operations, learned codecs have "
        f"{len(found)} operating points on their front. At {len(won)} of them no picture format and no plain feature "
        f"is as accurate with as few bytes"
        + (f": the cheapest that is takes {min(sizes):.1f} to {max(sizes):.1f} times as many" if sizes else "")
        + (
            f", and at {sum(math.isinf(duel.ratio) for duel in won)} of them none is as accurate at all"
            * any(math.isinf(duel.ratio) for duel in won)
        )
        + ".",
        "",
    ]
    if within:
        feature = record["features"][within.split]
        lines += [
            f"Within {100 * drop:g} point of the whole network: `{within.codec}`, {within.payload:,.0f} bytes, "
            f"{100 * (record['whole'] - within.accuracy):.2f} points lost: {feature / within.payload:,.0f} × against "
            f"the float32 feature, {record['jpeg'] / within.payload:,.1f} × against `{JPEG}`.",
            "",
        ]
    else:
        best = max((duel.spot for duel in found), key=lambda spot: spot.accuracy)
        lines += [
            f"**No learned codec is within {100 * drop:g} point of the whole network**; the best, `{best.codec}`, "
            f"loses "
            f"{100 * (record['whole'] - best.accuracy):.2f} points with {best.payload:,.0f} bytes.",
            "",
        ]
    return lines


def _times(record: Mapping[str, Any]) -> list[str]:
    if not record.get("times"):
        return []
    head = ["codec", "at", "encode µs", "decode µs", "head µs", "encode, share of the head %"]
    lines = [line(head), line(["---"] * len(head))]
    for one in record["times"]:
        whole = one.get("head")
        cells = [f"`{one['codec']}`", record["cuts"][one["split"]], f"{1e6 * one['encode']:.0f}"]
        cells += [f"{1e6 * one['decode']:.0f}", f"{1e6 * whole:.0f}" if whole else ""]
        cells.append(f"{100 * one['encode'] / whole:.1f}" if whole else "")
        lines.append(line(cells))
    return [*lines, "", f"Medians at batch 1 on one thread ({record['machine']['host']}).", ""]
