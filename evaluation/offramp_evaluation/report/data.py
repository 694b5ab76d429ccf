"""From records to what a page holds of them: numbers, rounded to what a screen can show, never a sample.

    meta   title, failures, hosts, versions
    axes   what varies: [{key, values}]
    rows   [{name, about, strategy, deployable}]
    runs   [{run, at: place of its value in each axis, link, rows: [a point for each row that it has]}]

Times are milliseconds, rates kbit/s, missing numbers null. A page of many runs keeps coarser distributions, and time
lines of strategies alone; `thinned` says so.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offramp_evaluation.replay.course import STEPS
from offramp_evaluation.report.records import Collection, Found
from offramp_evaluation.sweep.rows import AXES, axes_of

LARGEST = 6_000_000
"""Bytes of data in a page, where thinning can keep it so small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """How much of a run is kept."""

    stride: int
    """Every so many quantiles of the latency."""
    lines: str
    """Rows with a time line: all, strategies or none."""
    says: str


DETAILS = (
    Detail(stride=1, lines="all", says=""),
    Detail(stride=2, lines="strategies", says="distributions in steps of 5 %, time lines of strategies alone"),
    Detail(stride=4, lines="none", says="distributions in steps of 10 %, no time lines"),
)


def page_data(collection: Collection) -> str:
    """As JSON, in as much detail as fits into LARGEST."""
    text = ""
    for detail in DETAILS:
        text = json.dumps(_data(collection, detail), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        if len(text.encode()) <= LARGEST:
            break
    return text


def _data(collection: Collection, detail: Detail) -> dict[str, Any]:
    found = collection.found
    told = [axes_of(one.record) for one in found]
    values = {key: list(dict.fromkeys(axes[key] for axes in told)) for key in AXES}
    varied = [key for key in AXES if len(values[key]) > 1]
    rows = _rows(found)
    names = {row["name"]: place for place, row in enumerate(rows)}
    return {
        "meta": _meta(collection) | {"thinned": detail.says, "steps": list(STEPS)},
        "axes": [{"key": key, "values": values[key]} for key in varied],
        "fixed": {key: values[key][0] for key in AXES if key not in varied and values[key][0]},
        "rows": rows,
        "runs": [
            {
                "run": one.name,
                "at": [values[key].index(axes[key]) for key in varied],
                "link": _link(one.record["link"]),
                "rows": [_point(row, names[row["name"]], detail) for row in one.record["rows"]],
            }
            for one, axes in zip(found, told, strict=True)
        ],
    }


def _meta(collection: Collection) -> dict[str, Any]:
    runs = [one.record.get("run", {}) for one in collection.found]

    def told(key: str) -> list[str]:
        return sorted({str(run[key]) for run in runs if run.get(key)})

    return {
        "title": collection.title,
        "about": collection.about,
        "simulated": all(one.record["simulated"] for one in collection.found),
        "failed": collection.failed,
        "machines": told("machine"),
        "commits": [commit[:12] for commit in told("commit")],
        "versions": told("offramp"),
        "samples": sum(row["summary"]["samples"] for one in collection.found for row in one.record["rows"]),
    }


def _rows(found: Sequence[Found]) -> list[dict[str, Any]]:
    """In the order in which they are first met; what is said about a row only where all runs say the same."""
    known: dict[str, dict[str, Any]] = {}
    for one in found:
        for row in one.record["rows"]:
            told = {key: row[key] for key in ("name", "about", "strategy", "deployable")}
            known.setdefault(row["name"], told)
            if known[row["name"]]["about"] != row["about"]:
                known[row["name"]]["about"] = ""
    return list(known.values())


def _point(row: Mapping[str, Any], place: int, detail: Detail) -> dict[str, Any]:
    summary, views = row["summary"], row["views"]
    latency, interval = summary["latency"], summary["latency_interval"]
    spread = summary["accuracy_interval"]
    answered = summary["answered"]
    point = {
        "row": place,
        "n": summary["samples"],
        "accuracy": _round(summary["accuracy"]),
        "accuracy_range": [_round(spread["low"]), _round(spread["high"])],
        "mean": _ms(latency["mean"]),
        "mean_range": [_ms(interval["low"]), _ms(interval["high"])],
        "p50": _ms(latency["p50"]),
        "p95": _ms(latency["p95"]),
        "p99": _ms(latency["p99"]),
        "bytes": _round(summary["wire_bytes"]),
        "answered": [_round(answered[kind]) for kind in ("device", "edge", "degraded", "rejected")],
        "hits": _round(summary["deadline_hits"]),
        "changes": row["plan_changes"],
        "regret": None if row["regret"] is None else _ms(row["regret"]["difference"]),
        "joules": None if row["energy"] is None else _round(row["energy"]["joules"]),
        "metrics": {name: _round(value) for name, value in row.get("metrics", {}).items()},
        "exits": {cut: _round(share) for cut, share in summary["exits"].items()},
        "steps": [_ms(views["steps"][name]) for name in STEPS],
        "quantiles": [_ms(value, 3) for value in views["latency_quantiles"][:: detail.stride]],
    }
    if detail.lines == "all" or (detail.lines == "strategies" and row["strategy"]):
        line = views["timeline"]
        point["line"] = {
            "latency": [_ms(value, 3) for value in line["latency"]],
            "plan": line["plan"],
            "plans": line["plans"],
        }
    return point


def _link(link: Mapping[str, Any]) -> dict[str, Any]:
    return {"every": link["every"], "kbit": [_round(value / 1e3, 3) for value in link["bandwidth"]]}


def _ms(seconds: float | None, digits: int = 5) -> float | None:
    return None if seconds is None else _round(1e3 * seconds, digits)


def _round(value: float | None, digits: int = 5) -> float | None:
    """To significant digits; whole numbers lose their point, which is half of their length."""
    if value is None:
        return None
    rounded = float(f"{value:.{digits - 1}e}")
    return int(rounded) if rounded.is_integer() else rounded
