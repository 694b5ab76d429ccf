"""Tables for codecs, from calibration samples: ranges of channels, how often each level occurs, zstd dictionaries.

    some values of each tensor ─► which dimension counts the channels ─► their ranges ─► counts of levels
    small features as a whole  ─► payloads of each quantiser ─► a dictionary, where it saves something on others

# N samples, P places of a tensor that are looked at, C channels, L levels
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import zstandard
from numpy.typing import NDArray
from torch import Tensor

from offramp.bundle.specs import TensorSpec
from offramp.bundle.tables import LEVELS, TOTAL, CutTables, TensorTables
from offramp.codecs.affine import GRAINS, Affine
from offramp.codecs.leading import first_channels
from offramp.codecs.packer import Crossing
from offramp.codecs.zstd import LEVEL
from offramp.records import Feature
from offramp_builder.bottlenecks.bottleneck import Bottleneck
from offramp_builder.capture import Captured
from offramp_builder.features import features
from offramp_builder.ranges import QUANTILE, Range, Ranges

Floats = NDArray[np.float32]

_PLACES = 8_192
"""Values looked at in each tensor of each sample."""
_SMALL = 16_384
"""Values of a feature of which dictionaries are tried: at two bits, 4 KiB before zstd."""
_LONG = 2_048
"""Bytes of payloads that no dictionary is tried for: on longer ones, none saved as much as `_WORTH`."""
_WORTH = 0.03
"""Share of the bytes that a dictionary has to save on payloads that it has not seen."""
_DICTIONARIES = (1 << 10, 4 << 10)
"""Sizes that are tried, in bytes; larger ones saved no more on payloads of this size."""
_SEGMENT = 64
"""Bytes of a payload that go into a dictionary together."""
_NARROWEST = 1 / 128
"""Of a channel's range, in widths of the tensor's: a channel that hardly moves needs no finer steps."""
_ENOUGH = 16
"""Values of a channel in a sample, so that counts of its own are worth their place; with fewer, channels share them."""
_PRIOR = 64.0
"""What all channels' counts weigh in those of one, in values."""


def tabulate(
    captured: Captured, positions: Sequence[int], batches: Iterable[Tensor], ranges: Ranges, *, seed: int = 0
) -> dict[int | str, CutTables]:
    """Tables at those `positions` whose tensors are floats with a range, over batches of raw samples."""
    rng = np.random.default_rng(seed)
    seen = {
        position: _Seen.of(specs, rng)
        for position in positions
        if (specs := _ranged_specs(captured, position, ranges)) and all(spec.shape for spec in specs)
    }
    if not seen:
        return {}
    for batch in features(captured, sorted(seen), batches):
        for position, tensors in batch.items():
            seen[position].look(tensors)
    return {position: _tables(position, there) for position, there in seen.items()}


def tabulate_codes(
    captured: Captured, bottlenecks: Sequence[Bottleneck], batches: Iterable[Tensor], *, seed: int = 0
) -> dict[int | str, CutTables]:
    """Tables of codes, by name of the bottleneck, over batches of raw samples; dictionaries where a codec asks for one.

    All channels of a code have one range, and counts of their own: an important one is spread wider than the last.
    """
    rng = np.random.default_rng(seed)
    seen: dict[str, _Seen] = {}
    positions = sorted({bottleneck.position for bottleneck in bottlenecks})
    for batch in features(captured, positions, batches) if bottlenecks else ():
        for bottleneck in bottlenecks:
            with torch.no_grad():
                code = bottleneck.encoder.eval()(*batch[bottleneck.position])
            if bottleneck.name not in seen:
                spec = TensorSpec(shape=tuple(code.shape[1:]), dtype="float32", low=0.0, high=1.0)
                seen[bottleneck.name] = _Seen.of((spec,), rng)
            seen[bottleneck.name].look((code,))
    return {
        bottleneck.name: _code_tables(bottleneck, seen[bottleneck.name])
        for bottleneck in bottlenecks
        if bottleneck.name in seen
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is kept of the samples' features at one position, or of their codes."""

    specs: tuple[TensorSpec, ...]
    places_P: tuple[NDArray[np.int64], ...]
    """Of each tensor, flat."""
    values_NP: tuple[list[Floats], ...]
    whole: list[Feature]
    """The features themselves, where they are small."""

    @classmethod
    def of(cls, specs: tuple[TensorSpec, ...], rng: np.random.Generator) -> "_Seen":
        places = tuple(np.sort(rng.choice(spec.elements, min(spec.elements, _PLACES), replace=False)) for spec in specs)
        return cls(specs=specs, places_P=places, values_NP=tuple([] for _ in specs), whole=[])

    def look(self, tensors: tuple[Tensor, ...]) -> None:
        arrays = [tensor.float().numpy() for tensor in tensors]
        for values, places_P, array in zip(self.values_NP, self.places_P, arrays, strict=True):
            values.append(array.reshape(len(array), -1)[:, places_P])
        if sum(spec.elements for spec in self.specs) <= _SMALL:
            self.whole.extend(tuple(array[row : row + 1] for array in arrays) for row in range(len(arrays[0])))


def _ranged_specs(captured: Captured, position: int, ranges: Ranges) -> tuple[TensorSpec, ...]:
    """The tensors with their ranges; none where one of them is not to be quantised."""
    tensors = captured.cuts[position].tensors
    specs = [
        TensorSpec(shape=tensor.spec.shape, dtype=tensor.spec.dtype, low=low, high=high)
        for tensor, (low, high) in zip(tensors, ranges.get(position, ()), strict=False)
    ]
    ranged = len(specs) == len(tensors) and all(spec.low < spec.high for spec in specs)
    return tuple(specs) if ranged and position != captured.end and captured.cuts[position].split else ()


def _tables(position: int, seen: _Seen) -> CutTables:
    tensors = tuple(
        _of_tensor(spec, places_P, np.concatenate(values))
        for spec, places_P, values in zip(seen.specs, seen.places_P, seen.values_NP, strict=True)
    )
    crossing = Crossing(cut=position, kind="feature", tensors=seen.specs, tables=CutTables(tensors=tensors))
    return CutTables(tensors=tensors, dictionaries=dict(_dictionaries(crossing, seen.whole)))


def _code_tables(bottleneck: Bottleneck, seen: _Seen) -> CutTables:
    (spec,), (places_P,) = seen.specs, seen.places_P
    channels = spec.shape[0]
    counts_CL = np.zeros((channels, LEVELS), np.uint16)
    channel_P = np.unravel_index(places_P, spec.shape)[0]
    # Places are drawn among many; a channel that no place lies in is taken for one like the others.
    found = np.unique(channel_P)
    ends = np.zeros(len(places_P)), np.ones(len(places_P))
    values_NP = np.concatenate(seen.values_NP[0])
    counts_CL[found] = _counts(values_NP, *ends, np.searchsorted(found, channel_P))
    missing = np.setdiff1d(np.arange(channels), found)
    counts_CL[missing] = _counts(values_NP, *ends, np.zeros_like(channel_P))
    tensor = TensorTables(
        axis=0,
        low_C=np.zeros(channels, np.float32),
        high_C=np.ones(channels, np.float32),
        counts_CL=counts_CL,
        own_counts_CL=counts_CL,
    )
    tables = CutTables(tensors=(tensor,))
    asked = {name.partition("+")[0] for name in bottleneck.codecs if name.endswith("+zstd-dict")}
    return replace(tables, dictionaries=dict(_code_dictionaries(spec, tables, sorted(asked), seen.whole)))


def _code_dictionaries(
    spec: TensorSpec, tables: CutTables, names: Sequence[str], whole: Sequence[Feature]
) -> Iterator[tuple[str, bytes]]:
    """By `affine4:8`, for codecs that follow it with a dictionary."""
    for name in names:
        base, _, parameter = name.partition(":")
        grain = next((grain for grain in GRAINS if grain.name == base and not grain.per_channel), None)
        channels = int(parameter or spec.shape[0])
        if grain is not None and channels <= spec.shape[0]:
            packer = Affine(first_channels(0, spec, channels, tables), grain)
            if best := _dictionary([bytes(packer.pack((code[:, :channels],))) for (code,) in whole]):
                yield f"{base}:{channels}", best


def _of_tensor(spec: TensorSpec, places_P: NDArray[np.int64], values_NP: Floats) -> TensorTables:
    by_axis = {}
    for axis in sorted({0, len(spec.shape) - 1}):
        channel_P = np.unravel_index(places_P, spec.shape)[axis]
        by_axis[axis] = channel_P, _channel_ranges(spec, spec.shape[axis], channel_P, values_NP)
    # Channels are along the dimension whose parts differ most in range: that spares most bits.
    axis = min(by_axis, key=lambda axis: float(np.log(np.diff(by_axis[axis][1], axis=1)).mean()))
    channel_P, ranges_C2 = by_axis[axis]
    shared = spec.elements // spec.shape[axis] < _ENOUGH
    rows_P = np.zeros_like(channel_P) if shared else channel_P
    low_C, high_C = np.ascontiguousarray(ranges_C2.T.astype(np.float32))
    whole = (np.full_like(channel_P, spec.low, np.float64), np.full_like(channel_P, spec.high, np.float64))
    return TensorTables(
        axis=axis,
        low_C=low_C,
        high_C=high_C,
        counts_CL=_counts(values_NP, *whole, rows_P),
        own_counts_CL=_counts(values_NP, low_C[channel_P], high_C[channel_P], rows_P),
    )


def _channel_ranges(
    spec: TensorSpec, channels: int, channel_P: NDArray[np.int64], values_NP: Floats
) -> NDArray[np.float64]:
    """[C, 2] Quantiles of each channel, inside the tensor's range; that itself where nothing was seen of a channel."""
    ranges_C2 = np.tile(np.array([spec.low, spec.high]), (channels, 1))
    order = np.argsort(channel_P, kind="stable")
    found, starts = np.unique(channel_P[order], return_index=True)
    for channel, places in zip(found, np.split(order, starts[1:]), strict=True):
        ends = np.quantile(values_NP[:, places], (1 - QUANTILE, QUANTILE))
        ranges_C2[channel] = _wide_enough((max(float(ends[0]), spec.low), min(float(ends[1]), spec.high)), spec)
    return ranges_C2


def _wide_enough(ends: Range, spec: TensorSpec) -> Range:
    """At least as wide as float32 and common sense allow; a tensor that starts at 0 starts there in every channel."""
    low, high = (0.0 if spec.low == 0 else ends[0]), ends[1]
    least = max((spec.high - spec.low) * _NARROWEST, max(abs(low), abs(high)) / 128)
    return low, max(high, low + least)


def _counts(
    values_NP: Floats, low_P: NDArray[np.floating], high_P: NDArray[np.floating], rows_P: NDArray[np.int64]
) -> NDArray[np.uint16]:
    """[C, L] How often each level occurs in each row, of TOTAL, and none of them never."""
    scaled = (values_NP - low_P) * ((LEVELS - 1) / (high_P - low_P)) + 0.5
    levels_NP = np.nan_to_num(scaled).clip(0, LEVELS - 1).astype(np.int64)
    rows = int(rows_P.max()) + 1
    seen_CL = np.bincount((rows_P * LEVELS + levels_NP).ravel(), minlength=rows * LEVELS).reshape(rows, LEVELS)
    everywhere_L = seen_CL.sum(axis=0) + 0.5
    shares_CL = seen_CL + _PRIOR * everywhere_L / everywhere_L.sum()
    shares_CL /= shares_CL.sum(axis=1, keepdims=True)
    exact_CL = shares_CL * (TOTAL - LEVELS)
    counts_CL = np.floor(exact_CL).astype(np.int64)
    # What rounding down left over goes to the levels that lost most.
    left_C = TOTAL - LEVELS - counts_CL.sum(axis=1)
    rank_CL = np.argsort(np.argsort(counts_CL - exact_CL, axis=1, kind="stable"), axis=1)
    counts_CL += rank_CL < left_C[:, None]
    found_CL: NDArray[np.uint16] = (counts_CL + 1).astype(np.uint16)
    return found_CL


def _dictionaries(crossing: Crossing, whole: Sequence[Feature]) -> Iterator[tuple[str, bytes]]:
    """For each quantiser whose payloads a dictionary makes smaller, on samples that it was not trained with."""
    for grain in GRAINS:
        if Affine.refusal(crossing, grain):
            continue
        packer = Affine(crossing, grain)
        if best := _dictionary([bytes(packer.pack(feature)) for feature in whole]):
            yield grain.name, best


def _dictionary(payloads: Sequence[bytes]) -> bytes:
    """Trained on one half of the payloads; empty where it does not make the other half smaller."""
    half = len(payloads) // 2
    plain = _mean_size(payloads[half:], b"") if half else _LONG + 1
    best, smallest = b"", (1 - _WORTH) * plain
    for size in _DICTIONARIES if plain <= _LONG else ():
        dictionary = _trained(size, payloads[:half])
        if dictionary and (mean := _mean_size(payloads[half:], dictionary)) < smallest:
            best, smallest = dictionary, mean
    return best


def _trained(size: int, payloads: Sequence[bytes]) -> bytes:
    """Empty where there are too few payloads, or nothing in common."""
    try:
        return zstandard.train_dictionary(size, [*payloads], k=_SEGMENT, d=8, level=LEVEL).as_bytes()
    except zstandard.ZstdError:
        return b""


def _mean_size(payloads: Sequence[bytes], dictionary: bytes) -> float:
    shared = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
    compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=shared, write_dict_id=False)
    return float(np.mean([len(compressor.compress(payload)) for payload in payloads]))
