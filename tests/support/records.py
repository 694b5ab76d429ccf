"""Records for tests of what is made of them: as a replay would write them, without replaying."""

import json
import random
from pathlib import Path
from typing import Any

from offramp_evaluation.replay.course import BINS, QUANTILES, STEPS
from offramp_evaluation.report.records import Collection, Found
from offramp_evaluation.sweep.rows import AXES

ROWS = ("search", "steady:search", "all on the device", "all at the edge: jpeg:90", "best static plan", "oracle")


def a_row(name: str, *, seed: int = 0, bins: int = 30, about: str = "as told") -> dict[str, Any]:
    """Numbers that fit together: the steps add up to the mean, the shares to one."""
    chance = random.Random(f"{name} {seed}")
    spread = sorted(chance.uniform(0.02, 0.2) for _ in range(QUANTILES))
    steps = {step: chance.uniform(0.0, 0.02) for step in STEPS}
    edge = chance.random()
    return {
        "name": name,
        "about": about,
        "deployable": name != "oracle",
        "strategy": "search" in name or name == "oracle",
        "plans": {"split=0": 10},
        "plan_changes": chance.randrange(9),
        "macs": 1e6,
        "edge_seconds": 0.5,
        "late": 0,
        "prediction_error": None,
        "summary": {
            "samples": 240,
            "streams": 1,
            "accuracy": chance.uniform(0.85, 0.95),
            "accuracy_interval": {"low": 0.8, "high": 0.97, "confidence": 0.95, "units": 9},
            "macro_f1": 0.9,
            "latency": {
                "mean": sum(steps.values()),
                "p50": spread[20],
                "p95": spread[38],
                "p99": spread[39],
                "max": spread[40],
            },
            "latency_interval": {"low": None, "high": None, "confidence": 0.95, "units": 1},
            "deadline_hits": 1.0,
            "throughput": 8.0,
            "answered": {"device": 1 - edge, "edge": edge, "degraded": 0.0, "rejected": 0.0},
            "exits": {"4": 1 - edge, "8": edge},
            "payload_bytes": 1000.0,
            "wire_bytes": chance.uniform(0, 20_000),
            "wire_bytes_total": 240_000,
        },
        "classes": {},
        "devices": {},
        "energy": None,
        "regret": None if name == "oracle" else {"difference": chance.uniform(0, 0.01)},
        "views": {
            "latency_quantiles": spread,
            "steps": steps,
            "timeline": {
                "latency": [chance.uniform(0.02, 0.2) for _ in range(bins)],
                "edge": [edge] * bins,
                "plan": [chance.randrange(2) for _ in range(bins)],
                "plans": ["split=0, exit=none, codec=jpeg:90", "split=8, exit=confidence:0.9@4, codec=none"],
            },
        },
    }


def a_record(*, seed: int = 0, trace: str = "lte", rows: tuple[str, ...] = ROWS, bins: int = 30) -> dict[str, Any]:
    axes = dict.fromkeys(AXES, "1") | {"network": "demo", "link.trace": trace, "seed": str(seed), "load.rate": "8"}
    return {
        "kind": "replay",
        "simulated": True,
        "inputs": {"bundle": "demo", "trace": trace, "seed": seed},
        "link": {"every": 1.0, "bandwidth": [2e6 + 1e5 * place for place in range(bins)]},
        "rows": [a_row(name, seed=seed, bins=bins) for name in rows],
        "comparisons": [],
        "axes": axes,
        "run": {"machine": "a machine", "commit": "0" * 40, "offramp": "0.1.0"},
    }


def write_records(folder: Path, records: list[dict[str, Any]]) -> Path:
    for number, record in enumerate(records):
        place = folder / "runs" / f"run-{number:04d}"
        place.mkdir(parents=True)
        (place / "record.json").write_text(json.dumps(record))
    return folder


def many_runs(count: int) -> Collection:
    """As large as they come: every time line full, as many rows as a table of everything has."""
    rows = (*ROWS, *(f"split {cut}: affine8+zstd" for cut in range(1, 10)))
    records = [a_record(seed=number, trace=f"trace {number}", rows=rows, bins=BINS) for number in range(10)]
    found = [Found(name=f"run-{number}", record=records[number % 10], folder=Path()) for number in range(count)]
    return Collection(title="many", about="", found=tuple(found), failed=0)
