"""What codecs cost: to encode features of CIFAR's size, beside the head that makes them, and the pace on large ones.

features ─► encode │ zstd alone │ a copy      taking turns, on one core
sample ─► head ─► encode                      one behind the other, as on a device, each timed

python -m benchmarks.codec_speed                   small features: of the demo's bundle
python -m benchmarks.codec_speed --bundle DIR      of another trained bundle, with its ranges and tables

Large ones are those of a ResNet-18 for pictures of 224, with random weights, on photographs.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import zstandard

from benchmarks.features import Spot, in_turns, resnet18_spots, trained_spots
from benchmarks.harness import BLOCKS, CORES, Case, Claim, Times, a_parser, pin, report, shuffled
from offramp.bundle.store import open_bundle
from offramp.codecs.catalog import open_codec
from offramp.codecs.usual import opens
from offramp.codecs.zstd import LEVEL, RARELY
from offramp.records import Array
from offramp.runtime.onnx_backend import configure_threads
from offramp_evaluation.assets import DEMO_BUNDLE

ENCODE, SHARE, PACE, OVERHEAD = 30.0, 0.03, 2.5, 1.5
"""Microseconds; of the head's time; GB/s of float32; times zstd alone."""
CLAIMED = ("affine8+zstd", "affine4+zstd", "affine4+lz4")
NAMES = (
    *("affine8", "affine8+zstd", "affine4", "affine4+zstd", "affine4c+zstd", "affine2+zstd"),
    *("affine4+lz4", "affine4+range"),
)
HEAD, COPY, ZSTD = "head", "a copy", "zstd alone"


def main() -> int:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument("--bundle", type=Path, default=DEMO_BUNDLE, metavar="DIR", help="trained (default: the demo's)")
    arguments = parser.parse_args()
    if arguments.pin:
        pin(CORES[0])
    configure_threads(1)
    rounds = 60 if arguments.quick else 1_000
    with trained_spots(open_bundle(arguments.bundle)) as small:
        turns = {spot.title: take_turns(spot, rounds) for spot in small}
        behind = {spot.title: behind_head(spot, rounds) for spot in small}
    with resnet18_spots() as large:
        turns |= {spot.title: take_turns(spot, rounds // 2) for spot in large}
        behind |= {spot.title: behind_head(spot, max(BLOCKS, rounds // 10)) for spot in large[:1]}
    spots = [*small, *large]
    claims = [*encoding(small, turns, behind), *sharing(large[0], behind), *pacing(large, turns)]
    details = {
        spot.title: {
            "zeros": spot.zeros,
            "bytes": {name: spot.bytes_of(name) for name in _names(spot)},
            "in turns": turns[spot.title].record(),
            "behind the head": behind[spot.title].record() if spot.title in behind else {},
        }
        for spot in spots
    }
    if not arguments.json:
        print_times(spots, turns, behind)
    return report("codec_speed", claims, details, arguments)


def take_turns(spot: Spot, rounds: int) -> Times:
    """Every name that opens there, and what there is to compare with."""
    calls: dict[str, Case] = {name: in_turns(_encoder(name, spot), spot.features) for name in _names(spot)}
    space = np.empty_like(spot.features[0])
    how = zstandard.ZstdCompressionParameters(compression_level=LEVEL, strategy=zstandard.STRATEGY_FAST, **RARELY)
    compressor = zstandard.ZstdCompressor(compression_params=how)
    calls[COPY] = in_turns(lambda feature: np.copyto(space, feature), spot.features)
    calls[ZSTD] = in_turns(lambda levels_n: compressor.compress(levels_n.data), spot.levels())
    shuffled(calls, rounds=20)
    return Times({name: np.array(seconds) for name, seconds in shuffled(calls, rounds=rounds).items()})


def behind_head(spot: Spot, rounds: int) -> Times:
    """The head, and what encodes its feature at once, while caches still hold the head's weights."""
    encoders = {name: _encoder(name, spot) for name in _claimed(spot)}
    seconds: dict[str, list[float]] = {name: [] for name in (HEAD, *encoders)}
    for _ in range(rounds):
        for name, encode in encoders.items():
            start = time.perf_counter()
            (feature,) = spot.head()
            there = time.perf_counter()
            encode(feature)
            seconds[name].append(time.perf_counter() - there)
            seconds[HEAD].append(there - start)
    return Times({name: np.array(took) for name, took in seconds.items()})


def encoding(spots: Sequence[Spot], turns: Mapping[str, Times], behind: Mapping[str, Times]) -> list[Claim]:
    """Microseconds at each split of a small network."""
    claims = []
    for codec in _claimed(spots[0]):
        for spot in spots:
            took, later = turns[spot.title].p50(codec) * 1e6, behind[spot.title].p50(codec) * 1e6
            alone, share = turns[spot.title].p50(ZSTD) * 1e6, behind[spot.title].ratio(codec, HEAD).value
            detail = f"{later:.0f} behind its head, {share:.1%} of it; zstd alone, on 8 bits, {alone:.0f}"
            claims.append(Claim(name=f"{codec}, {spot.title}", found=took, limit=ENCODE, unit="µs", detail=detail))
    return claims


def sharing(spot: Spot, behind: Mapping[str, Times]) -> list[Claim]:
    """What encoding adds to the head of a large network."""
    claims = []
    for codec in _claimed(spot):
        share, head = behind[spot.title].ratio(codec, HEAD), behind[spot.title].p50(HEAD)
        detail = f"{share.low:.2%} to {share.high:.2%} over the run; the head takes {head * 1e3:.1f} ms"
        claims.append(
            Claim(name=f"{codec} over ResNet-18's head to {spot.name}", found=share.value, limit=SHARE, detail=detail)
        )
    return claims


def pacing(spots: Sequence[Spot], turns: Mapping[str, Times]) -> list[Claim]:
    """GB/s of float32 from 200 KB on, and what of the time is zstd's."""
    paces = {spot.title: spot.size / 1e9 / turns[spot.title].p50("affine8+zstd") for spot in spots}
    slowest = min(spots, key=lambda spot: paces[spot.title])
    taken = turns[slowest.title]
    alone, around = slowest.size / 1e9 / taken.p50(ZSTD), taken.ratio("affine8+zstd", ZSTD)
    return [
        Claim(
            name="affine8+zstd from 200 KB of float32 on",
            found=paces[slowest.title],
            limit=PACE,
            at_most=False,
            unit="GB/s",
            detail=f"slowest of {len(spots)}: {slowest.title}; zstd alone reaches {alone:.2f}",
        ),
        Claim(
            name="affine8+zstd over zstd alone, there",
            found=around.value,
            limit=OVERHEAD,
            detail=f"{around.low:.2f} to {around.high:.2f} over the run",
        ),
    ]


def print_times(spots: Sequence[Spot], turns: Mapping[str, Times], behind: Mapping[str, Times]) -> None:
    print(f"{'':22}{'in turns':>10}{'behind its head':>18}{'':>5}payload")
    for spot in spots:
        print(f"{spot.title}: {spot.size / 1e3:,.0f} KB of float32, {spot.zeros:.0%} zeros")
        for name in (COPY, ZSTD, *_names(spot)):
            took = f"{turns[spot.title].p50(name) * 1e6:,.1f} µs"
            later = f"{behind[spot.title].p50(name) * 1e6:,.1f} µs" if spot.title in behind and name in CLAIMED else ""
            size = f"{spot.bytes_of(name):,.0f} bytes" if name in NAMES else ""
            print(f"  {name:18}{took:>12}{later:>18}{size:>18}".rstrip())


def _names(spot: Spot) -> list[str]:
    return [name for name in NAMES if opens(name, spot.manifest, spot.cut)]


def _claimed(spot: Spot) -> list[str]:
    """Those of `CLAIMED` whose libraries are here."""
    return [name for name in CLAIMED if opens(name, spot.manifest, spot.cut)]


def _encoder(name: str, spot: Spot) -> Callable[[Array], bytes]:
    encode = open_codec(name, spot.manifest, spot.cut).encode
    return lambda feature: encode((feature,))


if __name__ == "__main__":
    sys.exit(main())
