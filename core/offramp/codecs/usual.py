"""Which codecs are worth trying at each cut, and which can be used there at all."""

from offramp.bundle.manifest import Manifest
from offramp.codecs.catalog import codec_names, open_codec
from offramp.errors import UnknownNameError

IMAGE_CODECS = ("raw", "png", "webp:lossless", "jpeg:95", "jpeg:90", "jpeg:75", "jpeg:50", "webp:80", "webp:50")
INPUT_CODECS = ("raw+zstd",)
FEATURE_CODECS = ("affine8+zstd", "float16+zstd")


def candidate_codecs(manifest: Manifest) -> dict[int, list[str]]:
    """By split: the codecs that candidates are made of, as far as they can be used there."""
    at_input = IMAGE_CODECS if manifest.sample.kind == "image" else INPUT_CODECS
    return {
        split: [name for name in (FEATURE_CODECS if split else at_input) if opens(name, manifest, split)]
        for split in range(manifest.end)
    }


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
