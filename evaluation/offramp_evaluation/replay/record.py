"""One replay is one record: what went in, each row's numbers, who beat whom; metadata of the run apart.

    record.json      inputs, rows, comparisons, run
    samples.parquet  every sample of every row

The same inputs and seed give the same record byte for byte, `run` apart.
"""

import io
import json
import math
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from offramp import __version__
from offramp.bundle.jsonform import to_json
from offramp.errors import DataError, MissingExtraError
from offramp.measure.profile import describe_host
from offramp.units import Seconds
from offramp_evaluation.metrics.catalog import METRICS
from offramp_evaluation.metrics.classification import per_class_accuracy
from offramp_evaluation.metrics.comparison import Comparison, compare
from offramp_evaluation.metrics.outcomes import ANSWERED, Outcomes
from offramp_evaluation.metrics.prediction import PredictionError
from offramp_evaluation.metrics.summary import Summary, summarise_device
from offramp_evaluation.replay.contest import ORACLE
from offramp_evaluation.replay.course import Course, timeline, views
from offramp_evaluation.traces.trace import Trace

REPLAY, LIVE = "replay", "live"
"""Kinds of record: simulated, and measured. Their numbers are never in one column."""
COLUMNS = ("row", "stream", "index", "answered", "label", "truth", "exit", "latency", "payload_bytes", "wire_bytes")
"""Of the table of samples, those that outcomes are read from."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """One contestant's run."""

    name: str
    about: str
    deployable: bool
    plans: Mapping[str, int]
    """Text of each plan that was followed, and how many samples started under it."""
    plan_changes: int
    macs: float
    """Multiply-accumulates executed on the device, mean over all samples, branches included."""
    edge_seconds: float
    """That the edge worked, in all."""
    late: int
    """Answers that came after they were given up."""
    deadline: float
    outcomes: Outcomes
    summary: Summary
    course: Course
    strategy: bool = False
    """It chose plans as it went."""
    joules: float | None = None
    """On the device, of an average sample, by the stated model; None without one."""
    prediction: PredictionError | None = None
    """Of a strategy's forecasts."""

    @property
    def mean(self) -> float:
        """Seconds of an average sample, what was rejected counted at the deadline."""
        return float(_latencies(self.outcomes, self.deadline).mean())


def record_of(
    rows: Sequence[Row],
    inputs: Mapping[str, Any],
    *,
    against: str,
    block: int,
    labels: Sequence[str],
    link: Trace,
    energy: str | None = None,
    live: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The record without its `run`.

    Latencies are compared with those of the row `against`, sample by sample, what was rejected counted at the deadline;
    blocks of `block` neighbouring samples are the units, since neighbours share the link. A row's regret is the same
    comparison with the oracle. `labels` name the classes; `link` is the way up that the samples saw; `energy` is the
    label of the model behind the joules. What was measured says so: `live` tells how, and what of it was emulated.
    """
    reference = next(row for row in rows if row.name == against)
    oracle = next((row for row in rows if row.name == ORACLE), None)
    units = _units(rows[0].outcomes, block)
    found, line = [], timeline(reference.course, link)
    for row in rows:
        one = _row(row, labels)
        one["views"] = _finite(views(row.course, row.outcomes, line))
        one["energy"] = None if row.joules is None else {"joules": row.joules, "model": energy}
        regret = None if oracle is None or row is oracle else _finite(to_json(_compare(row, oracle, units)))
        found.append(one | {"regret": regret})
    return {
        "kind": REPLAY if live is None else LIVE,
        "simulated": live is None,
        **({} if live is None else {"live": dict(live)}),
        "inputs": dict(inputs),
        "link": to_json(line),
        "rows": found,
        "comparisons": [
            {"first": against, "second": row.name, "latency": _finite(to_json(_compare(reference, row, units)))}
            for row in rows
            if row is not reference
        ],
    }


def run_metadata(started: str, seconds: float) -> dict[str, Any]:
    """What may differ between two runs of the same inputs."""
    return {
        "started": started,
        "seconds": round(seconds, 3),
        "offramp": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": describe_host(),
    }


def write_record(record: Mapping[str, Any], samples: bytes, folder: Path) -> None:
    """`samples` are those of `encode_samples`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "samples.parquet").write_bytes(samples)


def encode_samples(rows: Sequence[Row]) -> bytes:
    """A Parquet table of every sample of every row.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "evaluation", "writing samples") from error
    tables = [
        pa.table(
            {
                "row": pa.array([row.name] * len(row.outcomes)).dictionary_encode(),
                "stream": row.outcomes.stream_N.tolist(),
                "index": row.outcomes.index_N,
                "arrival": row.course.arrival_N,
                "plan": pa.array([row.course.plans[place] for place in row.course.plan_N]).dictionary_encode(),
                "answered": [ANSWERED[code].value for code in row.outcomes.answered_N],
                "label": row.outcomes.label_N,
                "truth": row.outcomes.truth_N,
                "exit": row.outcomes.exit_N,
                "latency": row.outcomes.latency_N,
                "payload_bytes": row.outcomes.payload_N,
                "wire_bytes": row.outcomes.wire_N,
            }
        )
        for row in rows
    ]
    written = io.BytesIO()
    parquet.write_table(pa.concat_tables(tables), written)
    return written.getvalue()


def decode_samples(content: bytes) -> dict[str, Outcomes]:
    """What `encode_samples` kept, by row; how sure an answer was is not in it.

    Raises:
        MissingExtraError: pyarrow is not installed.
        DataError: It is no such table.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "evaluation", "reading samples") from error
    try:
        table = parquet.read_table(io.BytesIO(content))
        columns = {name: table[name].to_pylist() for name in COLUMNS}
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise DataError(f"this is no table of samples that a replay wrote: {error}") from error
    codes = {kind.value: code for code, kind in enumerate(ANSWERED)}
    everything = Outcomes(
        stream_N=np.array(columns["stream"], np.str_),
        index_N=np.array(columns["index"], np.int64),
        answered_N=np.array([codes[kind] for kind in columns["answered"]], np.uint8),
        label_N=np.array(columns["label"], np.int64),
        truth_N=np.array(columns["truth"], np.int64),
        confidence_N=np.full(len(columns["index"]), np.nan),
        exit_N=np.array(columns["exit"], np.int64),
        latency_N=np.array(columns["latency"], np.float64),
        payload_N=np.array(columns["payload_bytes"], np.int64),
        wire_N=np.array(columns["wire_bytes"], np.int64),
    )
    row_N = np.array(columns["row"])
    return {name: everything.take(row_N == name) for name in dict.fromkeys(columns["row"])}


def _row(row: Row, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "name": row.name,
        "about": row.about,
        "deployable": row.deployable,
        "strategy": row.strategy,
        "plans": dict(row.plans),
        "plan_changes": row.plan_changes,
        "macs": row.macs,
        "edge_seconds": row.edge_seconds,
        "late": row.late,
        "prediction_error": _finite(to_json(row.prediction)),
        "summary": _finite(to_json(row.summary)),
        "metrics": {name: _finite(float(metric(row.outcomes))) for name, metric in METRICS.items()},
        "classes": _classes(row.outcomes, labels),
        "devices": _devices(row),
    }


def _classes(outcomes: Outcomes, labels: Sequence[str]) -> dict[str, Any]:
    right_K, count_K = per_class_accuracy(outcomes.label_N, outcomes.truth_N, len(labels))
    found = zip(labels, right_K.tolist(), count_K.tolist(), strict=True)
    return {label: _finite({"accuracy": right, "samples": count}) for label, right, count in found}


def _devices(row: Row) -> dict[str, Any]:
    """Of each device by itself, where there are several."""
    outcomes = row.outcomes
    names = np.unique(outcomes.stream_N).tolist()
    return {
        name: _finite(to_json(summarise_device(outcomes.take(outcomes.stream_N == name), Seconds(row.deadline))))
        for name in (names if len(names) > 1 else [])
    }


def _compare(first: Row, second: Row, units: Sequence[str]) -> Comparison:
    one, other = (_latencies(row.outcomes, row.deadline) for row in (first, second))
    return compare(one, other, units, better="lower")


def _units(outcomes: Outcomes, block: int) -> list[str]:
    """Blocks of neighbours, in the order of `_latencies`."""
    order = np.lexsort((outcomes.index_N, outcomes.stream_N))
    named = zip(outcomes.stream_N[order].tolist(), outcomes.index_N[order].tolist(), strict=True)
    return [f"{stream}/{index // block}" for stream, index in named]


def _latencies(outcomes: Outcomes, deadline: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """In the order of stream and index, so that rows pair up; rejected samples at the deadline."""
    order = np.lexsort((outcomes.index_N, outcomes.stream_N))
    answered = outcomes.label_N[order] >= 0
    return np.where(answered, outcomes.latency_N[order], deadline)


def _finite(value: Any) -> Any:
    """JSON knows no infinity and no NaN: None stands for both."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value


def _commit() -> str | None:
    try:
        found = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
