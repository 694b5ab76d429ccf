"""The rows of a record as a table for the terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from offramp.inspect.table import format_table
from offramp.units import format_bytes, format_seconds
from offramp_evaluation.replay.contest import BEST_STATIC

if TYPE_CHECKING:
    from offramp_evaluation.replay.experiment import Experiment
    from offramp_evaluation.replay.record import Row


def rows_table(rows: Sequence["Row"], record: Mapping[str, Any], experiment: "Experiment") -> str:
    """Every row of a record, and whether it is faster than the one that all are held against."""
    against = record["comparisons"][0]["first"] if record["comparisons"] else rows[0].name
    verdicts = {item["second"]: item["latency"]["verdict"] for item in record["comparisons"]}
    words = {"first": "slower", "second": "faster", "undecided": "no difference shown"}
    headers = ["row", "accuracy", "mean", "p50", "p95", "bytes", "device", "edge", "degr.", "rej.", "forecast off"]
    headers += ["energy, modelled"] * (experiment.energy is not None) + [f"than {against}"]
    lines = []
    for row in rows:
        summary = row.summary
        latency = [format_seconds(value) for value in (summary.latency.mean, summary.latency.p50, summary.latency.p95)]
        shares = [f"{100 * summary.answered[kind]:.0f} %" for kind in ("device", "edge", "degraded", "rejected")]
        off = row.prediction
        forecast = "" if off is None or not off.stretches else f"{100 * off.median:.0f} %"
        joules = [] if row.joules is None else [f"{1e3 * row.joules:.1f} mJ"]
        verdict = words.get(verdicts.get(row.name, ""), "")
        right, size = f"{100 * summary.accuracy:.1f} %", format_bytes(summary.wire_bytes)
        lines.append((row.name, right, *latency, size, *shares, forecast, *joules, verdict))
    devices = f"{experiment.devices} devices, each " if experiment.devices > 1 else ""
    title = (
        f"{experiment.manifest.name} over {experiment.up.name}: "
        f"{'SIMULATED from a tape' if record['simulated'] else 'MEASURED live'}, {devices}"
        f"{experiment.samples} samples at {experiment.rate:.3g}/s"
    )
    notes = [f"{row.name}: {row.about}" for row in rows if row.strategy or row.name == BEST_STATIC]
    if experiment.energy is not None:
        notes.append(f"energy: {experiment.energy.label}")
    return "\n".join([title, "", format_table(headers, lines, right=range(1, len(headers) - 1)), "", *notes])


def class_table(record: Mapping[str, Any]) -> str:
    rows = record["rows"]
    classes = list(rows[0]["classes"])
    lines = []
    for row in rows:
        found = [row["classes"][name]["accuracy"] for name in classes]
        lines.append((row["name"], *("·" if value is None else f"{100 * value:.0f}" for value in found)))
    return f"accuracy by class, %\n\n{format_table(('row', *classes), lines, right=range(1, len(classes) + 1))}"
