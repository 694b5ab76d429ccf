"""The exits chapter of docs/RESULTS.md, with its figures: from the records in docs/records, and from nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.chapters import FIGURES, PAGE, RECORDS, Shelf, write_between
from benchmarks.exits.bitmap import Masked
from benchmarks.exits.curves import Spot, draw
from benchmarks.exits.kinds import LEARNED_FOR, named
from benchmarks.exits.references import Reference, smallest_within
from benchmarks.exits.rows import (
    Row,
    Spread,
    at_equal_loss,
    best_of,
    chosen_by_seed,
    name_of,
    rivals,
    rows_apart,
    rows_of,
    rows_of_kinds,
)
from benchmarks.exits.tasks import TASKS

BEGIN, END = "<!-- exits: written by python -m benchmarks.exits --write -->", "<!-- exits end -->"
_NAMES = {"accuracy": "right", "macro_f1": "macro-F1"}
_SAVED = "What is saved without order is not owed to time."
_VANISHED = "Without order nothing of it is left."
_NOTHING_SAVED = (
    "Looking back saves nothing here: a sample that ends a scene runs to the end of the network, and so does the next, "
    "which is unlike it; a branch that is sure of both needs neither."
)
_MATCHED = (
    "Where exactly as much is lost as is accepted, on test samples, lies between rules tuned to lose less and "
    "rules tuned to lose more: there policies can be compared."
)


def write_chapter() -> int:
    """
    Raises:
        InputError: docs/RESULTS.md has no place for it.
    """
    shelf = Shelf(records=RECORDS, figures=FIGURES, page=PAGE)
    write_between(BEGIN, END, "exits-*.json", shelf, chapter, figures)
    return 0


def figures(record: Mapping[str, Any]) -> dict[str, bytes]:
    """SVG by file name."""
    curves = {name: [Spot(**spot) for spot in spots] for name, spots in record["curves"].items()}
    whole = record["seeds"][0]["scores"][0]["measures"]
    title = TASKS[record["task"]].title
    return {
        _figure(record, measure): draw(curves, whole, measure, f"{title}: {_NAMES[measure]} %, branches of one seed")
        for measure in whole
    }


def chapter(records: Sequence[Mapping[str, Any]]) -> str:
    """Markdown."""
    return "\n".join(line for record in records for line in _section(record))


def _section(record: Mapping[str, Any]) -> list[str]:
    task, drop = TASKS[record["task"]], record["drop"]
    several = [record["kind"], *record["kinds"]] if record.get("kinds") else []
    rows = rows_of([seed["scores"] for seed in record["seeds"]], drop, *several[:1])
    whole = next(row for row in rows if row.policy == "none")
    seeds = len(record["seeds"])
    over = f"mean and 95 % interval over {seeds} seeds of the branches on one trunk" if seeds > 1 else "one seed"
    if any(len(some) < seeds for some in record.get("kinds", {}).values()):
        over += ", one seed where there is no interval"
    lines = [
        f"### {task.title}",
        "",
        f"`python -m benchmarks.exits --task {task.name} --data {task.name}:DIR`. The network: "
        f"{record['macs'] / 1e6:.1f} M multiply-accumulates, {_measured(whole)} on {record['data']['test']:,} test "
        f"samples; the first branch hangs after {100 * record['first_exit']:.1f} % of it. Thresholds are tuned on "
        f"calibration samples to lose at most {100 * drop:g} points in every measure: of few patients or runs, "
        f"whichever is left out; of many samples, with 95 % confidence in each rule by itself. What stands here is "
        f"what they do on test samples: {over}." + (f" {task.chosen}" if task.chosen else ""),
        "",
        *_table([*rows, *rows_of_kinds(record)], record, several, drop),
        *([record["remark"]] if record.get("remark") else []),
        "",
        *_verdict([*rows, *rows_of_kinds(record)], drop),
        *_in_time(rows, record, drop),
        *_beside(record, whole, drop),
        *_apart(record, whole),
        *_bitmap(record),
        "",
    ]
    pictures = [f"![{_NAMES[name]} over operations](figures/{_figure(record, name)})" for name in whole.measures]
    return [*lines, *pictures, ""]


def _measured(row: Row) -> str:
    return " and ".join(f"{_NAMES[name]} {value.shown()} %" for name, value in row.measures.items())


def _table(rows: Sequence[Row], record: Mapping[str, Any], several: Sequence[str], drop: float) -> list[str]:
    """`several` are the kinds of branch, where there are more than one."""
    measures, wall = list(rows[0].measures), record.get("wall", {})
    mixed = {row.policy: row for row in rows_of(record["shuffled"], drop)} if "shuffled" in record else {}
    matched = any(row.matched for row in rows)
    head = ["policy", *(["branches"] if several else []), "operations %", *(f"{_NAMES[name]} %" for name in measures)]
    head += ["lost, points", *([f"operations % where {100 * drop:g} are lost"] if matched else [])]
    head += [*(["in random order: operations % (lost)"] if mixed else [])]
    head += ["leave at the branches, then sent %", "ECE %", *(["p50 / p95 ms"] if wall else [])]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        share = " · ".join(f"{100 * value:.0f}" for value in (*row.leave.values(), 1 - sum(row.leave.values())))
        cells = [f"`{row.policy}`", *([row.kind] if several else []), row.operations.shown()]
        cells += [*(row.measures[name].shown() for name in measures), row.losses.shown(2)]
        cells += [row.matched.shown() if row.matched else ""] if matched else []
        if mixed:
            other = mixed.get(row.policy)
            cells.append(f"{other.operations.shown()} ({other.losses.shown(2)})" if other else "")
        cells += [share, row.error.shown()]
        if wall:
            key = named(row.policy, row.kind, several) if several else row.policy
            times = next((time for name, time in wall.items() if name_of(name) == key), None)
            cells.append(f"{1e3 * times['p50']:.2f} / {1e3 * times['p95']:.2f}" if times else "")
        lines.append(_line([f"**{cell}**" if cell else "" for cell in cells] if not row.within else cells))
    bold = "Bold: lost more on test samples than was accepted on calibration samples."
    return [*lines, "", f"{bold} {_MATCHED}" if matched else bold]


def _verdict(rows: Sequence[Row], drop: float) -> list[str]:
    best = best_of([row for row in rows if row.policy != "none"])
    where = f" on {best.kind} branches" if best.kind else ""
    return [
        f"The cheapest that kept the promise: `{best.policy}`{where}, {best.operations.shown()} % of the operations, "
        f"{best.losses.shown(2)} points lost of {100 * drop:g} accepted.",
        "",
    ]


def _in_time(rows: Sequence[Row], record: Mapping[str, Any], drop: float) -> list[str]:
    if "shuffled" not in record:
        return []
    temporal, instance = (best_of(rivals(rows, temporal=which)) for which in (True, False))
    mixed = best_of(rivals(rows_of(record["shuffled"], drop), temporal=True))
    saved, left = (100 * (instance.operations.mean - one.operations.mean) for one in (temporal, mixed))
    return [
        f"What looking back saves, of those that kept the promise: the best temporal policy (`{temporal.policy}`) "
        f"takes {temporal.operations.shown()} % of the operations, the best instance policy (`{instance.policy}`) "
        f"{instance.operations.shown()} %: {_points(saved)}. On the same samples in random order, over all streams, "
        f"tuned anew, the best temporal policy (`{mixed.policy}`) takes {mixed.operations.shown()} % and loses "
        f"{mixed.losses.shown(2)} points: {_points(left)}. {_reason(saved, left)}",
        "",
        *_chosen_anew(record),
    ]


def _chosen_anew(record: Mapping[str, Any]) -> list[str]:
    """As above, but each seed has the policy that is best on its own calibration samples."""
    instance, temporal, mixed = chosen_by_seed(record)
    saved, left = (
        Spread.of([one["operations"] - other["operations"] for one, other in zip(instance, some, strict=True)])
        for some in (temporal, mixed)
    )
    took = [
        f"{Spread.of([one['operations'] for one in some]).shown()} % and lose "
        f"{Spread.of([one['lost'] for one in some]).shown(2)} points"
        for some in (instance, temporal)
    ]
    return [
        "Where every seed has the policies that are cheapest on its own calibration samples, instance policies take "
        f"{took[0]}, temporal ones {took[1]}; seed by seed, that saves {saved.shown()} points, and in random order "
        f"{left.shown()}.",
        "",
    ]


def _reason(saved: float, left: float) -> str:
    if saved <= 0:
        return _NOTHING_SAVED
    return _VANISHED if left <= 0 else _SAVED


def _points(saved: float) -> str:
    return f"{abs(saved):.1f} points {'fewer' if saved >= 0 else 'more'}"


def _beside(record: Mapping[str, Any], whole: Row, drop: float) -> list[str]:
    found = [Reference(**one) for one in record.get("references", [])]
    if not found:
        return []
    measures = list(whole.measures)
    head = ["trained alone, without exits", "operations %", *(f"{_NAMES[name]} %" for name in measures)]
    lines = [_line(head), _line(["---"] * len(head))]
    for one in found:
        values = [f"{100 * one.measures[name]:.1f}" for name in measures]
        lines.append(_line([one.name, f"{100 * one.operations:.1f}", *values]))
    smallest = smallest_within(found, {name: value.mean for name, value in whole.measures.items()}, drop)
    said = f"{smallest.name}, {100 * smallest.operations:.1f} %" if smallest else "none of them"
    return [*lines, "", f"The smallest of these within {100 * drop:g} point of the whole network: {said}.", ""]


def _apart(record: Mapping[str, Any], whole: Row) -> list[str]:
    """Of each, the cheapest policy, at equal loss where that is known, and those that its branches learned for."""
    if not record["apart"]:
        return []
    measures, drop = list(whole.measures), 100 * record["drop"]
    matched = any(row.matched for rows in rows_apart(record).values() for row in rows)
    head = ["network and branches trained together, one seed", "branches", "epochs"]
    head += [*(f"alone, {_NAMES[name]} %" for name in measures), "policy", "operations %", "lost, points"]
    head += [f"{_NAMES[name]} %" for name in measures]
    head += [f"operations % where {drop:g} are lost"] if matched else []
    lines = [_line(head), _line(["---"] * len(head))]
    for name, rows in rows_apart(record).items():
        alone, *others = rows
        level, own = at_equal_loss(others), LEARNED_FOR.get(alone.kind, ())
        best = level[0] if level else best_of(others)
        told = [name, alone.kind, record["apart"][name].get("trained", "")]
        told += [alone.measures[measure].shown() for measure in measures]
        for row in [best, *(row for row in others if row.policy in own and row is not best)]:
            cells = [f"`{row.policy}`", row.operations.shown(), row.losses.shown(2)]
            cells += [row.measures[measure].shown() for measure in measures]
            cells += [row.matched.shown() if row.matched else ""] if matched else []
            lines.append(_line([*told, *(cells if row.within else [cell and f"**{cell}**" for cell in cells])]))
            told = [""] * len(told)
    return [
        *lines,
        "",
        "Points are lost against each network without exits, the one that was trained with them; what is right may be "
        f"held against that of the network above, too, which was trained alone: {_measured(whole)}.",
        "",
    ]


def _bitmap(record: Mapping[str, Any]) -> list[str]:
    """What `mask=on` does to the answers of the edge."""
    found: Mapping[str, Sequence[Mapping[str, Any]]] = record.get("bitmap", {})
    rules = [(name, Masked(**one)) for name, some in found.items() for one in some]
    if not rules:
        return []
    name, worst = min(rules, key=lambda pair: pair[1].gained)
    better, worse = (sum(sign * one.gained > 0 for _, one in rules) for sign in (1, -1))
    return [
        f"The bitmap of excluded classes (`mask=on`), over all {len(rules)} rules of both exclusion policies, all "
        f"branches alike, that keep the promise on calibration samples: with it the edge is right about more of the "
        f"test samples that it is sent in {better}, about fewer in {worse}; at worst by "
        f"{100 * abs(worst.gained):.2f} points {'fewer' if worst.gained < 0 else 'more'} (`{worst.rule}`, {name}: "
        f"{100 * worst.right:.2f} % of {100 * worst.sent:.0f} % sent without it, {100 * worst.masked:.2f} % with it). "
        "It is off by default.",
        "",
    ]


def _figure(record: Mapping[str, Any], measure: str) -> str:
    return f"exits-{record['task']}-{measure.replace('_', '-')}.svg"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
