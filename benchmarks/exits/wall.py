"""Wall clock of the tuned rules: the real pipeline, one sample at a time, devices taking turns in short bursts."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from offramp.data import DataSet
from offramp.runtime.threads import configure_threads
from offramp_device import Device

BURST = 50
"""Samples of one turn."""
_WARM = 20


def wall_clock(rules: Mapping[str, tuple[Path, str]], part: DataSet, samples: int) -> dict[str, dict[str, float]]:
    """By name, p50, p95 and mean in seconds, of samples from the beginnings of all streams.

    `rules` are bundles and what is asked of them. A device holds the whole network (`split=end`), so that what is timed
    is what the rule executes, on one thread.
    """
    configure_threads(1)
    stream_N = np.zeros(len(part), np.int64) if part.stream_N is None else part.stream_N
    streams = np.unique(stream_N)
    each = max(1, samples // len(streams))
    turns = [np.flatnonzero(stream_N == stream)[:each] for stream in streams]
    spent: dict[str, list[float]] = {name: [] for name in rules}
    with ExitStack() as opened:
        devices = {
            name: opened.enter_context(Device.open(bundle, plan=f"split=end, exit={rule}"))
            for name, (bundle, rule) in rules.items()
        }
        for device in devices.values():
            for row in turns[0][:_WARM]:
                device.infer(part.samples[row], stream="warm-up")
        for stream, rows in zip(streams, turns, strict=True):
            for start in range(0, len(rows), BURST):
                for name, device in devices.items():
                    spent[name] += _burst(device, part, rows[start : start + BURST].tolist(), str(stream))
    return {
        name: {"p50": float(np.median(times)), "p95": float(np.quantile(times, 0.95)), "mean": float(np.mean(times))}
        for name, times in spent.items()
    }


def _burst(device: Device, part: DataSet, rows: Sequence[int], stream: str) -> list[float]:
    times = []
    for row in rows:
        before = time.perf_counter()
        device.infer(part.samples[row], stream=stream)
        times.append(time.perf_counter() - before)
    return times
