import numpy as np
import pytest

from tests.golden.codecs import FOLDER, GOLDENS, Golden, a_fixed_feature

LOSSY = ("jpeg", "webp:80", "webp:50")
"""Another libjpeg or libwebp may round its colours otherwise, by a step or two."""
each_golden = pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: f"{golden.place}-{golden.name}")


@each_golden
def test_an_old_payload_still_decodes_to_the_same_values(golden: Golden) -> None:
    decoded, expected = golden.codec().decode(golden.payload_file.read_bytes()), golden.decoded()
    assert len(decoded) == len(expected)
    for found, wanted in zip(decoded, expected, strict=True):
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        if golden.name.startswith(LOSSY):
            assert np.abs(found.astype(int) - wanted).max() <= 2
        else:
            assert found.tobytes() == wanted.tobytes()


PLAIN = (
    "raw",
    "delta",
    "float32",
    "float16",
    "affine8",
    "affine6",
    "affine4",
    "affine3",
    "affine2",
    "affine8c",
    "affine4c",
)
SPARSE = ("affine8z", "affine3cz")
COUNTED = ("affine8+range", "affine8c+range", "affine3c+range", "affine2+range")
CODES = ("slim/affine8", "slim/affine3:5", "slim/affine8+range", "slim/affine4:3+range", "slim/affine2:5+range")


@pytest.mark.parametrize("name", [*PLAIN, *SPARSE, *COUNTED, *CODES])
def test_what_no_compressor_chooses_is_written_byte_for_byte_as_ever(name: str) -> None:
    plain = [golden for golden in GOLDENS if golden.name == name]
    assert plain
    for golden in plain:
        assert golden.codec().encode(a_fixed_feature(golden.place)) == golden.payload_file.read_bytes()


def test_no_golden_lost_its_codec() -> None:
    known = {golden.payload_file for golden in GOLDENS}
    assert set(FOLDER.glob("*.bin")) == known
