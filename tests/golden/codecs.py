"""Payloads that must decode for ever: a device of an older version may still be sending them.

`python -m tests.golden.codecs` writes those that are missing, and never touches one that is there: when a test says
that one no longer decodes, the codec is what has to change (or get another name).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offramp.bundle.manifest import Manifest
from offramp.codecs.catalog import codec_names, open_codec
from offramp.codecs.codec import Codec
from offramp.records import Array, Feature
from tests.support.features import (
    FEATURE_CUT,
    a_manifest_of_samples,
    a_manifest_sending,
    a_tensor,
    with_code,
    with_tables,
)

FOLDER = Path(__file__).parent / "payloads"

PLACES: dict[str, tuple[Manifest, int]] = {
    "colour": (a_manifest_of_samples("image", "uint8", 12, 10, 3), 0),
    "grey": (a_manifest_of_samples("image", "uint8", 12, 10, 1), 0),
    "audio": (a_manifest_of_samples("audio", "int16", 64), 0),
    "ecg": (a_manifest_of_samples("ecg", "float32", 30, 2), 0),
    "features": (
        a_manifest_sending(a_tensor(4, 3, 3, low=0.0, high=6.0), a_tensor(8, low=-2.5, high=1.5)),
        FEATURE_CUT,
    ),
    "tables": (
        with_tables(a_manifest_sending(a_tensor(4, 3, 3, low=0.0, high=6.0), a_tensor(8, low=0.0, high=1.5))),
        FEATURE_CUT,
    ),
    "code": (with_code(a_manifest_sending(a_tensor(4, 3, 3)), 6, 4, 2), FEATURE_CUT),
}


@dataclass(frozen=True, slots=True)
class Golden:
    """One payload on disk, with what it decoded to when it was written."""

    place: str
    name: str

    @property
    def payload_file(self) -> Path:
        return FOLDER / f"{self.place}.{self.name.replace(':', '-').replace('/', '~')}.bin"

    @property
    def decoded_file(self) -> Path:
        return self.payload_file.with_suffix(".npz")

    def codec(self) -> Codec:
        return open_codec(self.name, *PLACES[self.place])

    def decoded(self) -> Feature:
        with np.load(self.decoded_file, allow_pickle=False) as arrays:
            return tuple(arrays[name] for name in sorted(arrays))


MORE = {
    "audio": ("delta", "delta+zstd"),
    "ecg": ("delta", "delta+zstd"),
    "features": ("affine6", "affine4", "affine3", "affine2", "affine3+zstd", "affine4+lz4"),
    "tables": (
        *("affine8c", "affine4c", "affine3c", "affine2c+zstd", "affine4c+zstd-dict", "affine8+zstd-dict"),
        *(
            "affine8+range",
            "affine8c+range",
            "affine3c+range",
            "affine2+range",
            "affine8z",
            "affine3cz",
            "affine4z+zstd",
        ),
    ),
    "code": tuple(
        f"slim/{name}"
        for name in (
            *("affine8", "affine3:5", "float16:2", "affine8+range", "affine4:3+range", "affine2:5+range"),
            *("affine4:sure5+range", "affine3:sure9999"),  # one sends half of the channels, one all
        )
    ),
}
"""Of the names that are not listed, those that have parts of their own."""
GOLDENS = [
    Golden(place, name)
    for place, (manifest, cut) in PLACES.items()
    for name in [*(codec_names(manifest, cut) if place not in ("tables", "code") else ()), *MORE.get(place, ())]
]


def a_fixed_feature(place: str) -> Feature:
    """The same values on every machine and with every numpy: whole numbers, and their eighths."""
    manifest, cut = PLACES[place]
    tensors = []
    for spec in manifest.crossing(cut, "slim" if place == "code" else ""):
        steps = np.arange(spec.elements, dtype=np.int64) * 37 % 101
        values: Array = steps / 8 - 5 if np.dtype(spec.dtype).kind == "f" else steps * 2
        values = steps / 128 if place == "code" else values
        tensors.append(values.astype(spec.dtype).reshape(1, *spec.shape))
    return tuple(tensors)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for golden in GOLDENS:
        if not golden.payload_file.exists():
            codec = golden.codec()
            payload = codec.encode(a_fixed_feature(golden.place))
            golden.payload_file.write_bytes(payload)
            decoded = codec.decode(payload)
            np.savez_compressed(golden.decoded_file, **{f"tensor_{at}": value for at, value in enumerate(decoded)})
            print(f"wrote {golden.payload_file.name}, {len(payload)} bytes")


if __name__ == "__main__":
    main()
