"""The rows of many records as one table: what a notebook, a spreadsheet or the report reads."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from offramp.errors import MissingExtraError

AXES = (
    "network",
    "link.trace",
    "link.shared",
    "load.rate",
    "load.samples",
    "load.devices",
    "load.arrivals",
    "device.slowdown",
    "device.power",
    "device.radio",
    "edge.slowdown",
    "objective",
    "seed",
)
"""Keys of a scenario that may have several values."""

Line = dict[str, Any]


def lines(records: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Line]:
    """One for each row of each (name, record); every line has the same keys, times in seconds."""
    for name, record in records:
        axes = axes_of(record)
        for row in record["rows"]:
            yield {"run": name} | axes | _line(row)


def axes_of(record: Mapping[str, Any]) -> dict[str, str]:
    """What a record was made from, key by key of a scenario; for a replay's, from its inputs."""
    if "axes" in record:
        return {key: str(record["axes"].get(key, "")) for key in AXES}
    inputs = record["inputs"]
    told = {
        "network": inputs["bundle"],
        "link.trace": inputs["trace"],
        "link.shared": str(inputs["shared_link"]).lower(),
        "load.rate": f"{inputs['rate']:g}",
        "load.samples": inputs["samples"],
        "load.devices": inputs["devices"],
        "load.arrivals": inputs["arrivals"],
        "device.slowdown": f"{inputs['device']['slowdown']:g}",
        "device.power": inputs["energy"] or "none",
        "edge.slowdown": f"{inputs['edge']['slowdown']:g}",
        "objective": inputs.get("objective", ""),
        "seed": inputs["seed"],
    }
    return {key: str(told.get(key, "")) for key in AXES}


def _line(row: Mapping[str, Any]) -> Line:
    summary, steps = row["summary"], row["views"]["steps"]
    interval, spread = summary["latency_interval"], summary["accuracy_interval"]
    return {
        "row": row["name"],
        "strategy": row["strategy"],
        "deployable": row["deployable"],
        "samples": summary["samples"],
        "accuracy": summary["accuracy"],
        "accuracy_low": spread["low"],
        "accuracy_high": spread["high"],
        "macro_f1": summary["macro_f1"],
        "latency_mean": summary["latency"]["mean"],
        "latency_mean_low": interval["low"],
        "latency_mean_high": interval["high"],
        "latency_p50": summary["latency"]["p50"],
        "latency_p95": summary["latency"]["p95"],
        "latency_p99": summary["latency"]["p99"],
        "payload_bytes": summary["payload_bytes"],
        "wire_bytes": summary["wire_bytes"],
        **{f"share_{kind}": share for kind, share in summary["answered"].items()},
        "deadline_hits": summary["deadline_hits"],
        "regret": None if row["regret"] is None else row["regret"]["difference"],
        "joules": None if row["energy"] is None else row["energy"]["joules"],
        "macs": row["macs"],
        "edge_seconds": row["edge_seconds"],
        "plan_changes": row["plan_changes"],
        **{f"step_{name}": seconds for name, seconds in steps.items()},
        **{f"metric_{name}": value for name, value in row.get("metrics", {}).items()},
    }


def write_rows(records: Iterable[tuple[str, Mapping[str, Any]]], path: Path) -> None:
    """As Parquet; nothing when there is no record.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "evaluation", "writing the table of runs") from error
    found = list(lines(records))
    if found:
        parquet.write_table(pa.Table.from_pylist(found), path)
