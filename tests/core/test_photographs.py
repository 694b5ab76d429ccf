"""Image codecs on real photographs: smaller than raw, in the order that one expects."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from offramp.codecs.catalog import open_codec
from tests.support.features import a_manifest_of_samples

MANIFEST = a_manifest_of_samples("image", "uint8", 32, 32, 3)
COUNT = 100


@pytest.mark.data
def test_each_codec_earns_its_place_on_cifar10(data_root: Path) -> None:
    with Image.open(data_root / "cifar10" / "test_batch.webp") as grid:
        row = np.asarray(grid.convert("RGB").crop((0, 0, 32 * COUNT, 32)))
    photographs = np.ascontiguousarray(row.reshape(32, COUNT, 32, 3).swapaxes(0, 1))[:, None]
    sizes = {}
    for name in ("webp:80", "jpeg:90", "webp:lossless", "png", "raw"):
        codec = open_codec(name, MANIFEST, 0)
        payloads = [codec.encode((pixels,)) for pixels in photographs]
        sizes[name] = np.mean([len(payload) for payload in payloads])
        error = np.mean(
            [
                np.abs(codec.decode(payload)[0].astype(int) - pixels).mean()
                for payload, pixels in zip(payloads, photographs, strict=True)
            ]
        )
        assert error < (6 if name in ("webp:80", "jpeg:90") else 1e-9)
    assert list(sizes.values()) == sorted(sizes.values()), sizes
    assert sizes["jpeg:90"] < 1000  # 3,072 raw
    assert sizes["webp:80"] < 600
