"""The exits chapter of docs/RESULTS.md, with its figures: from the records in docs/records, and from nothing else."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.chapters import FIGURES, PAGE, RECORDS, Shelf, write_between
from benchmarks.exits.contest import is_temporal
from benchmarks.exits.curves import Spot, draw
from benchmarks.exits.references import Reference, smallest_within
from benchmarks.exits.tasks import TASKS

BEGIN, END = "<!-- exits: written by python -m benchmarks.exits --write -->", "<!-- exits end -->"
_NAMES = {"accuracy": "right", "macro_f1": "macro-F1"}
_SAVED = (
    "What is saved without order is not owed to time: a temporal policy lets nobody leave who is not given the scene's "
    "label, mostly the commonest, and that is a rule for single samples, too."
)
_NOTHING_SAVED = (
    "Looking back saves nothing here: a sample that ends a scene runs to the end of the network, and so does the next, "
    "which is unlike it; a branch that is sure of both needs neither."
)
# Student's t at 97.5 %, by degrees of freedom.
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A mean over seeds, and half of its 95 % interval; nan of one seed."""

    mean: float
    half: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        mean = sum(values) / len(values)
        if len(values) < 2:
            return cls(mean=mean, half=math.nan)
        variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
        return cls(mean=mean, half=_T[min(len(values) - 1, max(_T))] * math.sqrt(variance / len(values)))

    def shown(self, digits: int = 1) -> str:
        """In per cent."""
        half = "" if math.isnan(self.half) else f" ± {100 * self.half:.{digits}f}"
        return f"{100 * self.mean:.{digits}f}{half}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One policy over all seeds."""

    policy: str
    kind: str
    """Of the branches; empty where a record does not say."""
    operations: Spread
    measures: Mapping[str, Spread]
    losses: Spread
    leave: Mapping[str, float]
    """Share of the samples that leave at each cut, on average over seeds."""
    error: Spread
    within: bool
    """Whether it lost no more than the task accepts, on average."""

    @property
    def lost(self) -> float:
        return self.losses.mean

    @property
    def title(self) -> str:
        """Policy and kind of branch."""
        return f"{self.policy} on {self.kind}" if self.kind else self.policy


def rows_of(contests: Sequence[Sequence[Mapping[str, Any]]], drop: float, kind: str = "") -> list[Row]:
    """By policy, the scores of all seeds in one; the policies that every seed has, in their order."""
    by_seed = [{_name(score["policy"]): score for score in scores} for scores in contests]
    common = [policy for policy in by_seed[0] if all(policy in scores for scores in by_seed)]
    return [_row(policy, kind, [scores[policy] for scores in by_seed], drop) for policy in common]


def rows_of_kinds(record: Mapping[str, Any]) -> list[Row]:
    """Of the kinds of branch beside the first, on the same network."""
    by_kind = (rows_of([seed["scores"] for seed in seeds], record["drop"], kind) for kind, seeds in _kinds(record))
    return [row for rows in by_kind for row in rows if row.policy != "none"]


def rows_apart(record: Mapping[str, Any]) -> dict[str, list[Row]]:
    """By name, those of every network that was trained together with its branches; the first is it without exits."""
    apart = record["apart"].items()
    return {name: rows_of([one["scores"]], record["drop"], one.get("kind", "")) for name, one in apart}


def _kinds(record: Mapping[str, Any]) -> Iterable[tuple[str, Sequence[Mapping[str, Any]]]]:
    """Those beside the first, with their contests."""
    found: Mapping[str, Sequence[Mapping[str, Any]]] = record.get("kinds", {})
    return found.items()


def best_of(rows: Sequence[Row]) -> Row:
    """The fewest operations among those that lost no more than is accepted; of all, where each lost more."""
    return min([row for row in rows if row.within] or rows, key=lambda row: row.operations.mean)


def rivals(rows: Sequence[Row], *, temporal: bool) -> list[Row]:
    """The policies that look at the stream, or those that do not; the network without exits is one of these."""
    names = [row.policy.partition("+")[0] for row in rows]
    return [row for row, name in zip(rows, names, strict=True) if (name != "none" and is_temporal(name)) is temporal]


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
    rows = rows_of([seed["scores"] for seed in record["seeds"]], drop)
    whole = next(row for row in rows if row.policy == "none")
    seeds = len(record["seeds"])
    over = f"mean and 95 % interval over {seeds} seeds of the branches on one trunk" if seeds > 1 else "one seed"
    measured = " and ".join(f"{_NAMES[name]} {value.shown()} %" for name, value in whole.measures.items())
    lines = [
        f"### {task.title}",
        "",
        f"`python -m benchmarks.exits --task {task.name} --data {task.name}:DIR`. The network: "
        f"{record['macs'] / 1e6:.1f} M multiply-accumulates, {measured} on {record['data']['test']:,} test samples; "
        f"the first branch hangs after {100 * record['first_exit']:.1f} % of it. Thresholds are tuned on calibration "
        f"samples to lose at most {100 * drop:g} points in every measure; what stands here is what they do on test "
        f"samples: {over}." + (f" {task.chosen}" if task.chosen else ""),
        "",
        *_table(rows, record.get("wall", {})),
        *([record["remark"]] if record.get("remark") else []),
        "",
        *_verdict(rows, drop),
        *_in_time(rows, record, drop),
        *_beside(record, whole, drop),
        *_apart(record, drop),
        "",
    ]
    pictures = [f"![{_NAMES[name]} over operations](figures/{_figure(record, name)})" for name in whole.measures]
    return [*lines, *pictures, ""]


def _table(rows: Sequence[Row], wall: Mapping[str, Mapping[str, float]]) -> list[str]:
    measures = list(rows[0].measures)
    head = ["policy", "operations %", *(f"{_NAMES[name]} %" for name in measures), "lost, points"]
    head += ["leave at the branches, then sent %", "ECE %", *(["p50 / p95 ms"] if wall else [])]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        share = " · ".join(f"{100 * value:.0f}" for value in (*row.leave.values(), 1 - sum(row.leave.values())))
        cells = [f"`{row.policy}`", row.operations.shown(), *(row.measures[name].shown() for name in measures)]
        cells += [row.losses.shown(2), share, row.error.shown()]
        if wall:
            times = next((time for name, time in wall.items() if _name(name) == row.policy), None)
            cells.append(f"{1e3 * times['p50']:.2f} / {1e3 * times['p95']:.2f}" if times else "")
        lines.append(_line([f"**{cell}**" for cell in cells] if not row.within else cells))
    return [*lines, "", "Bold: lost more on test samples than was accepted on calibration samples."]


def _verdict(rows: Sequence[Row], drop: float) -> list[str]:
    best = best_of([row for row in rows if row.policy != "none"])
    return [
        f"The cheapest that kept the promise: `{best.policy}`, {best.operations.shown()} % of the operations, "
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
        f"{mixed.losses.shown(2)} points: {_points(left)}. {_NOTHING_SAVED if saved <= 0 else _SAVED}",
        "",
    ]


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


def _apart(record: Mapping[str, Any], drop: float) -> list[str]:
    if not record["apart"]:
        return []
    measures = list(record["seeds"][0]["scores"][0]["measures"])
    head = ["network and branches trained together, one seed", *(f"alone, {_NAMES[name]} %" for name in measures)]
    head += ["cheapest policy", "operations %", "lost, points"]
    lines = [_line(head), _line(["---"] * len(head))]
    for name, contest in record["apart"].items():
        rows = rows_of([contest["scores"]], drop)
        best = best_of([row for row in rows if row.policy != "none"])
        alone = [rows[0].measures[measure].shown() for measure in measures]
        lines.append(_line([name, *alone, f"`{best.policy}`", best.operations.shown(), best.losses.shown(2)]))
    return [*lines, ""]


def _row(policy: str, kind: str, scores: Sequence[Mapping[str, Any]], drop: float) -> Row:
    measures = {name: Spread.of([one["measures"][name] for one in scores]) for name in scores[0]["measures"]}
    cuts = sorted({cut for one in scores for cut in one["leave"]}, key=int)
    losses = Spread.of([one["lost"] for one in scores])
    return Row(
        policy=policy,
        kind=kind,
        operations=Spread.of([one["operations"] for one in scores]),
        measures=measures,
        losses=losses,
        leave={cut: sum(one["leave"].get(cut, 0.0) for one in scores) / len(scores) for cut in cuts},
        error=Spread.of([one["error"] for one in scores]),
        within=losses.mean <= drop,
    )


def _name(policy: str) -> str:
    """What is the same for all seeds: over which instance policy a temporal one stands may differ."""
    return f"{policy.partition('+')[0]}+instance" if "+" in policy else policy


def _figure(record: Mapping[str, Any], measure: str) -> str:
    return f"exits-{record['task']}-{measure.replace('_', '-')}.svg"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
