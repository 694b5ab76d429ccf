"""What codecs cost: encoding features of CIFAR's size, the pace on large ones, and what each name saves for its time.

seeded features, as after a ReLU ─► encode │ zstd alone │ a copy       taking turns, on one core

A feature here is smooth in rows and columns, non-negative and half zeros; no network has to be there.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import zstandard

from benchmarks.harness import CORES, Case, Claim, Times, a_parser, pin, report, shuffled
from offramp.bundle.manifest import FORMAT, Manifest, SampleSpec
from offramp.bundle.specs import CutSpec, StageSpec, TensorSpec
from offramp.bundle.tables import LEVELS, TOTAL, CutTables, TensorTables
from offramp.codecs.catalog import open_codec
from offramp.codecs.zstd import LEVEL, RARELY
from offramp.records import Array

Shape = tuple[int, ...]
SMALL: tuple[Shape, ...] = ((16, 32, 32), (32, 16, 16), (64, 8, 8))
LARGE: tuple[Shape, ...] = ((256, 14, 14), (128, 28, 28), (64, 56, 56))
"""Of a ResNet-18 at 224 pixels behind its layers 3, 2 and 1: 201 to 803 KB of float32."""
ENCODE, PACE, OVERHEAD = 30.0, 2.5, 1.5
"""Microseconds; GB/s of float32; times zstd alone."""
NAMES = ("affine8", "affine8+zstd", "affine4c", "affine4c+zstd", "affine2c+zstd", "affine4c+lz4", "affine4c+range")
COPY, ZSTD = "a copy", "zstd alone"


def main() -> int:
    arguments = a_parser(__doc__.partition("\n")[0]).parse_args()
    if arguments.pin:
        pin(CORES[0])
    rounds = 60 if arguments.quick else 1_000
    measured = {shape: measure(shape, rounds if shape in SMALL else rounds // 4) for shape in (*SMALL, *LARGE)}
    slowest = max(SMALL, key=lambda shape: measured[shape].p50("affine8+zstd"))
    paces = {shape: 4e-9 * np.prod(shape) / measured[shape].p50("affine8+zstd") for shape in LARGE}
    large = min(paces, key=lambda shape: paces[shape])
    around = measured[large].ratio("affine8+zstd", ZSTD)
    claims = [
        Claim(
            name="encode affine8+zstd at CIFAR's sizes",
            found=measured[slowest].p50("affine8+zstd") * 1e6,
            limit=ENCODE,
            unit="µs",
            detail=f"slowest of {len(SMALL)}: {_times(slowest)}, of which zstd {measured[slowest].p50(ZSTD) * 1e6:.1f}",
        ),
        Claim(
            name="affine8+zstd from 200 KB of float32 on",
            found=paces[large],
            limit=PACE,
            at_most=False,
            unit="GB/s",
            detail=f"slowest of {len(LARGE)}: {_times(large)}",
        ),
        Claim(
            name="affine8+zstd over zstd alone, there",
            found=around.value,
            limit=OVERHEAD,
            detail=f"{around.low:.2f} to {around.high:.2f} over the run",
        ),
    ]
    details = {_times(shape): times.record() | {"bytes": sizes(shape)} for shape, times in measured.items()}
    if not arguments.json:
        print_paces(measured)
    return report("codec_speed", claims, details, arguments)


def measure(shape: Shape, rounds: int) -> Times:
    """Every name, and what there is to compare with, over several features."""
    manifest = a_manifest(shape)
    features = some_features(shape, 8)
    calls: dict[str, Case] = {name: _turns(open_codec(name, manifest, 1).encode, features) for name in NAMES}
    packed = [np.frombuffer(open_codec("affine8", manifest, 1).encode((feature,)), np.uint8) for feature in features]
    space = np.empty_like(features[0])
    how = zstandard.ZstdCompressionParameters(compression_level=LEVEL, strategy=zstandard.STRATEGY_FAST, **RARELY)
    compressor = zstandard.ZstdCompressor(compression_params=how)
    calls[COPY] = _turns(lambda feature: np.copyto(space, feature[0]), features)
    calls[ZSTD] = _turns(lambda levels: compressor.compress(levels[0]), packed)
    shuffled(calls, rounds=20)
    return Times({name: np.array(seconds) for name, seconds in shuffled(calls, rounds=rounds).items()})


def sizes(shape: Shape) -> dict[str, float]:
    """Mean bytes of each name's payloads."""
    manifest, features = a_manifest(shape), some_features(shape, 8)
    return {
        name: float(np.mean([len(open_codec(name, manifest, 1).encode((feature,))) for feature in features]))
        for name in NAMES
    }


def print_paces(measured: dict[Shape, Times]) -> None:
    print(f"{'µs':>14}" + "".join(f"{name:>15}" for name in (COPY, ZSTD, *NAMES)))
    for shape, times in measured.items():
        took = "".join(f"{times.p50(name) * 1e6:15.1f}" for name in (COPY, ZSTD, *NAMES))
        print(f"{_times(shape):>14}{took}")


def some_features(shape: Shape, count: int) -> list[Array]:
    """[1, C, H, W] each: sums of noise over neighbours, half of it below zero, which the ReLU cuts off."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        noise = rng.normal(0, 1, (1, shape[0], shape[1] + 2, shape[2] + 2)).astype(np.float32)
        smooth = sum(noise[:, :, y : y + shape[1], x : x + shape[2]] for y in range(3) for x in range(3)) / 3
        found.append(np.maximum(smooth, 0))
    return found


def a_manifest(shape: Shape) -> Manifest:
    """A network of two stages with this feature between them, and tables for it."""
    spec = TensorSpec(shape=shape, dtype="float32", low=0.0, high=3.5)
    image, logits = TensorSpec(shape=(32, 32, 3), dtype="uint8"), TensorSpec(shape=(10,), dtype="float32")
    names_tensors = (("input", image), ("feature", spec), ("output", logits))
    manifest = Manifest(
        format=FORMAT,
        name="features alone",
        offramp="0",
        sample=SampleSpec(kind="image", shape=image.shape, dtype=image.dtype),
        labels=tuple(map(str, range(10))),
        cuts=tuple(CutSpec(name=name, tensors=(tensor,)) for name, tensor in names_tensors),
        stages=(StageSpec(macs=1), StageSpec(macs=1)),
        branches=(),
        final_temperature=1.0,
        final_accuracy=None,
        segments=(),
        discovered=(),
        files={},
        model_digest="",
    )
    return replace(manifest, tables={1: CutTables(tensors=(_tables(spec),))})


def _tables(spec: TensorSpec) -> TensorTables:
    channels = spec.shape[0]
    tail_L = np.exp(-0.5 * (np.arange(LEVELS) * spec.high / (LEVELS - 1)) ** 2)
    counts_L = np.floor(tail_L / tail_L.sum() * TOTAL / 2).astype(np.int64)
    counts_L[0] += TOTAL - counts_L.sum()
    counts_CL = np.tile(counts_L, (channels, 1)).astype(np.uint16)
    low_C, high_C = np.zeros(channels, np.float32), np.full(channels, spec.high, np.float32)
    return TensorTables(axis=0, low_C=low_C, high_C=high_C, counts_CL=counts_CL, own_counts_CL=counts_CL)


def _turns(call: Any, arguments: Sequence[Array]) -> Case:
    """The call with one argument after the other, each as a feature of one tensor."""
    turn = 0

    def case() -> object:
        nonlocal turn
        turn = (turn + 1) % len(arguments)
        return call((arguments[turn],))

    return case


def _times(shape: Shape) -> str:
    return "×".join(map(str, shape))


if __name__ == "__main__":
    sys.exit(main())
