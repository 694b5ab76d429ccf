"""Which codecs are worth trying at each cut, and which can be used there at all."""

from offramp.bundle.manifest import Manifest
from offramp.bundle.tables import NO_TABLES
from offramp.codecs.catalog import codec_names, open_codec
from offramp.codecs.delta import SIGNALS
from offramp.errors import UnknownNameError

IMAGE_CODECS = ("raw", "png", "webp:lossless", "jpeg:95", "jpeg:90", "jpeg:75", "jpeg:50", "webp:80", "webp:50")
INPUT_CODECS = ("raw+zstd",)
FEATURE_CODECS = ("affine8+zstd", "float16+zstd")
TABLED = ("affine4c", "affine3c", "affine2c")
"""Where the bundle ships tables: of few bits, with a range for each channel, which then spares points of accuracy; with
the bundle's dictionary where it has one. Only stages that every device has: range and lz4 are asked for by name."""
SIGNAL_CODECS = ("raw+zstd", "delta+zstd", "affine8+zstd")
"""Floats in their calibrated range, too: heartbeats of 324 values, 1,296 bytes, became 1,151 without loss, and 324 at a
byte a value even before zstd."""


def candidate_codecs(manifest: Manifest) -> dict[int, list[str]]:
    """By split: the codecs that candidates are made of, as far as they can be used there."""
    kind = manifest.sample.kind
    at_input = IMAGE_CODECS if kind == "image" else SIGNAL_CODECS if kind in SIGNALS else INPUT_CODECS
    return {
        split: [
            name
            for name in (*(_at_features(manifest, split) if split else at_input), *_of_codes(manifest, split))
            if opens(name, manifest, split)
        ]
        for split in manifest.splits[:-1]
    }


def _at_features(manifest: Manifest, split: int) -> list[str]:
    tables = manifest.tables.get(split, NO_TABLES)
    if not tables.tensors:
        return list(FEATURE_CODECS)
    stages = {base: "zstd-dict" if base in tables.dictionaries else "zstd" for base in TABLED}
    return [*FEATURE_CODECS, *(f"{base}+{stage}" for base, stage in stages.items())]


def _of_codes(manifest: Manifest, split: int) -> list[str]:
    """What those who made the bottlenecks around this cut found worth trying."""
    return [f"{spec.name}/{codec}" for spec in manifest.bottlenecks if spec.cut == split for codec in spec.codecs]


def known_codecs(manifest: Manifest) -> dict[int, list[str]]:
    """By split: those of candidates, and whatever else the catalogue knows there."""
    chosen = candidate_codecs(manifest)
    return {split: list(dict.fromkeys([*chosen[split], *codec_names(manifest, split)])) for split in chosen}


def opens(codec: str, manifest: Manifest, split: int) -> bool:
    """Whether the codec exists and can be used at this split."""
    try:
        open_codec(codec, manifest, split)
    except UnknownNameError:
        return False
    return True
