"""One walk of samples through a bundle: what every branch, the end and every codec's tail say about them.

    samples ─► segment ─► branch ─► segment ─► branch ─► … ─► the end of the network
                  │ at each split, for each quantiser
                  ├─► pack, once ─► each entropy stage ─► how many bytes        (via a bottleneck: of its code)
                  └─► unpack ─► tail ─► what the edge would answer

With the segments and codecs that are deployed. Codecs that lose nothing lead to the end of the network itself, so no
tail is run for them; those that differ only in the entropy stage share packing and tail.

# N samples, K classes, S fused scores
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import TensorSpec
from offramp.bundle.store import Bundle
from offramp.codecs.catalog import open_codec, open_stage
from offramp.codecs.codec import Codec
from offramp.plan import via_of
from offramp.records import Array, Feature
from offramp.runtime.runtime import Runtime, SegmentOutputs
from offramp.tail import Tail
from offramp.tape.header import FINAL, CodecEntry, branch_voice, tail_voice

BATCH = 32
"""Samples in one model call: more gain nothing on a processor; 32 features at ResNet-18's first cut are 26 MB."""
PROBES = 8
"""Pieces of noise that a codec has to give back to be called lossless."""

Compress = Callable[[bytes], bytes]
Progress = Callable[[int, int], None]
"""Takes (samples done, samples in all)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """What was said about N samples, by voice (see `offramp.tape.header`), and how large their payloads are."""

    logits: Mapping[str, NDArray[np.float32]]
    """[N, K], raw."""
    scores: Mapping[str, NDArray[np.float32]]
    """[N, S], of the branches and the end."""
    payload_bytes: Mapping[tuple[int, str], NDArray[np.int64]]
    """By (split, codec): [N]."""

    def __len__(self) -> int:
        return len(self.logits[FINAL])


class Listener:
    """Runs samples through one bundle and writes down who says what. Keeps nothing between calls."""

    def __init__(
        self, bundle: Bundle, runtime: Runtime, codecs: Mapping[int, Sequence[str]], head: Runtime | None = None
    ) -> None:
        """`codecs` by split; the `runtime` should be able to keep two segments for each cut open.

        With a `head`, it runs the way to the end, and the runtime tails alone: those that lossless codecs lead to, too.

        Raises:
            UnknownNameError: No such codec, or not at that split.
            PlanError: The bundle keeps no such cut.
        """
        manifest = bundle.manifest
        self.branches = tuple(sorted(branch.cut for branch in manifest.branches))
        self._runtime = head or runtime
        self._end = manifest.end
        self._tail = Tail(bundle, runtime)
        self._ways = _all_ways(manifest, codecs, own=head is None)
        self._points = sorted({*self.branches, *self._ways, self._end})

    @property
    def entries(self) -> tuple[CodecEntry, ...]:
        """Every codec, and whose answer it leads to."""
        return _entries(self._ways)

    def hear(self, samples: Array, progress: Progress = lambda _done, _total: None) -> Heard:
        """Samples [N, *shape]; `progress` is called after each batch."""
        parts: list[Heard] = []
        for part in self.batches(samples):
            parts.append(part)
            progress(min(BATCH * len(parts), len(samples)), len(samples))
        return join(parts)

    def batches(self, samples: Array) -> Iterator[Heard]:
        """The same, a batch of at most `BATCH` at a time."""
        for first in range(0, len(samples), BATCH):
            yield self._hear(np.ascontiguousarray(samples[first : first + BATCH]))

    def _hear(self, batch: Array) -> Heard:
        logits: dict[str, NDArray[np.float32]] = {}
        scores: dict[str, NDArray[np.float32]] = {}
        payload_bytes: dict[tuple[int, str], NDArray[np.int64]] = {}
        for cut, outputs in self._walk(batch):
            if outputs.logits_NK is not None and outputs.scores_NS is not None:
                voice = FINAL if cut == self._end else branch_voice(cut)
                logits[voice], scores[voice] = outputs.logits_NK, outputs.scores_NS
            crossing = {"": outputs.feature}
            for way in self._ways.get(cut, ()):
                if way.via not in crossing:
                    encoder = self._runtime.open(cut, cut, branch=False, via=way.via)
                    crossing[way.via] = encoder.run(outputs.feature).feature
                packed = [way.codec.encode(one) for one in _singles(crossing[way.via])]
                for name, compress in way.stages.items():
                    sizes = [len(compress(payload)) for payload in packed] if compress else list(map(len, packed))
                    payload_bytes[cut, name] = np.array(sizes, dtype=np.int64)
                if way.voice != FINAL:
                    features = [way.codec.decode(payload) for payload in packed]
                    logits[way.voice] = self._tail.run(cut, features, way.via)
        return Heard(logits=logits, scores=scores, payload_bytes=payload_bytes)

    def _walk(self, batch: Array) -> Iterator[tuple[int, SegmentOutputs]]:
        """Every point in order, with the feature there; one feature is in memory at a time."""
        outputs, here = SegmentOutputs((batch,)), 0
        for point in self._points:
            if point > here:
                segment = self._runtime.open(here, point, branch=point in self.branches)
                outputs, here = segment.run(outputs.feature), point
            yield here, outputs


def codecs_of_head(codecs: Mapping[int, Sequence[str]]) -> dict[int, list[str]]:
    """Those that another head than the bundle's own leads to: of features, not of the input, and of no bottleneck."""
    there = {split: [name for name in names if not via_of(name)] for split, names in codecs.items() if split > 0}
    return {split: names for split, names in there.items() if names}


def codec_entries(
    manifest: Manifest, codecs: Mapping[int, Sequence[str]], *, own: bool = True
) -> tuple[CodecEntry, ...]:
    """Every codec, by split, and whose answer it leads to; nothing is run for it but the codecs themselves.

    Behind another head than the bundle's own, what loses nothing still leads to a tail, and not to the head's end.

    Raises:
        UnknownNameError: No such codec, or not at that split.
        PlanError: The bundle keeps no such cut.
    """
    return _entries(_all_ways(manifest, codecs, own=own))


def join(parts: Sequence[Heard]) -> Heard:
    """One after the other, as if heard at once."""
    return Heard(
        logits={voice: np.concatenate([part.logits[voice] for part in parts]) for voice in parts[0].logits},
        scores={voice: np.concatenate([part.scores[voice] for part in parts]) for voice in parts[0].scores},
        payload_bytes={
            key: np.concatenate([part.payload_bytes[key] for part in parts]) for key in parts[0].payload_bytes
        },
    )


def is_lossless(codec: Codec, tensors: Sequence[TensorSpec]) -> bool:
    """Found by trying: noise over the whole range comes back to the bit. No codec has to know it of itself."""
    rng = np.random.default_rng(0)
    for _ in range(PROBES):
        feature = tuple(_noise(spec, rng) for spec in tensors)
        back = codec.decode(codec.encode(feature))
        if any(not np.array_equal(sent, received) for sent, received in zip(feature, back, strict=True)):
            return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One quantiser at one split, and the entropy stages that are tried behind it."""

    codec: Codec
    """Without an entropy stage: its payloads are what the stages compress."""
    via: str
    """The bottleneck whose code it writes; empty: it writes the feature."""
    voice: str
    stages: Mapping[str, Compress | None]
    """By the whole codec's name; None where nothing follows."""


def _entries(ways: Mapping[int, Sequence[_Way]]) -> tuple[CodecEntry, ...]:
    return tuple(
        CodecEntry(split=split, codec=name, voice=way.voice)
        for split, there in ways.items()
        for way in there
        for name in way.stages
    )


def _all_ways(manifest: Manifest, codecs: Mapping[int, Sequence[str]], *, own: bool) -> dict[int, tuple[_Way, ...]]:
    return {split: _ways(manifest, split, names, own=own) for split, names in sorted(codecs.items())}


def _ways(manifest: Manifest, split: int, names: Sequence[str], *, own: bool) -> tuple[_Way, ...]:
    stages: dict[str, dict[str, Compress | None]] = {}
    for name in names:
        stage = open_stage(name, manifest, split)  # whoever asks for a codec that cannot be hears its whole name
        stages.setdefault(name.partition("+")[0], {})[name] = stage.compress if stage else None
    ways = []
    for quantiser, behind in stages.items():
        codec = open_codec(quantiser, manifest, split)
        via = via_of(quantiser)
        # A bottleneck loses something even where the codec of its code does not.
        lossless = own and not via and is_lossless(codec, manifest.cuts[split].tensors)
        voice = FINAL if lossless else tail_voice(split, quantiser)
        ways.append(_Way(codec=codec, via=via, voice=voice, stages=behind))
    return tuple(ways)


def _noise(spec: TensorSpec, rng: np.random.Generator) -> Array:
    dtype = np.dtype(spec.dtype)
    shape = (1, *spec.shape)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    return rng.normal(0.0, max(abs(spec.low), abs(spec.high), 1.0) / 2, shape).astype(dtype)


def _singles(feature: Feature) -> Iterator[Feature]:
    for index in range(len(feature[0])):
        yield tuple(tensor[index : index + 1] for tensor in feature)
