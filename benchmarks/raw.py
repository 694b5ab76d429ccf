"""The floor of the tail: ONNX Runtime alone, as fast as it goes at one batch size.

python -m benchmarks.raw BUNDLE SPLIT BATCH THREADS SECONDS     prints samples per second
"""

import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

from offramp.bundle.store import open_bundle

WARM_UP = 3
"""Calls before those that count."""


def open_session(file: Path, threads: int | None) -> onnxruntime.InferenceSession:
    """A session as anybody would open it, with a pool of its own; or, without `threads`, on the process's pool."""
    options = onnxruntime.SessionOptions()
    if threads is None:
        options.use_per_session_threads = False
    else:
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def throughput(path: Path, split: int, batch: int, threads: int, seconds: float) -> float:
    """Samples per second from the split to the end."""
    bundle = open_bundle(path)
    spec = bundle.manifest.segment(split, bundle.manifest.end, branch=False)
    session = open_session(bundle.file(spec.file), threads)
    rng = np.random.default_rng(0)
    feed = {
        f"feature_{number}": rng.random((batch, *tensor.shape), dtype=np.float32)
        for number, tensor in enumerate(bundle.manifest.cuts[split].tensors)
    }
    for _ in range(WARM_UP):
        session.run(None, feed)
    calls, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        session.run(None, feed)
        calls += 1
    return calls * batch / took


if __name__ == "__main__":
    bundle_path, at, size, pool, how_long = sys.argv[1:]
    print(throughput(Path(bundle_path), int(at), int(size), int(pool), float(how_long)))
