"""How long codecs take beside the head before them: one sample at a time, on one thread, in turns."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.harness import Case, shuffled
from offramp.bundle.store import Bundle
from offramp.codecs.catalog import open_codec
from offramp.plan import via_of
from offramp.records import Array
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.runtime.threads import configure_threads


def clock(bundle: Bundle, wanted: Sequence[tuple[int, str]], samples: Array, rounds: int) -> list[dict[str, Any]]:
    """Median seconds of head, encoding and decoding for each (split, codec)."""
    configure_threads(1)
    runtime = OnnxRuntime(bundle, capacity=len(bundle.manifest.segments))
    found = []
    for split, name in wanted:
        codec = open_codec(name, bundle.manifest, split)
        head = runtime.open(0, split, branch=False, via=via_of(name)) if split else None
        given = [(sample[None],) for sample in samples]
        crossing = [head.run(sample).feature if head else sample for sample in given]
        payloads = [codec.encode(feature) for feature in crossing]
        calls = {"encode": _turns(codec.encode, crossing), "decode": _turns(codec.decode, payloads)}
        if head:
            calls["head"] = _turns(head.run, given)
        shuffled(calls, rounds=max(5, rounds // 10))
        times = {what: float(np.median(seconds)) for what, seconds in shuffled(calls, rounds=rounds).items()}
        found.append({"split": split, "codec": name} | times)
    return found


def _turns(call: Any, arguments: Sequence[Any]) -> Case:
    """The call with one argument after the other."""
    turn = 0

    def case() -> object:
        nonlocal turn
        turn = (turn + 1) % len(arguments)
        return call(arguments[turn])

    return case
