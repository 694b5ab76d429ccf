"""The range coder's payloads, read by integers alone: what has to decode for ever does not hang on a library."""

from itertools import accumulate

import numpy as np
import pytest

from offramp.bundle.tables import TOTAL
from offramp.codecs.catalog import open_codec
from offramp.errors import PayloadError, UnknownNameError
from tests.support.features import FEATURE_CUT, a_manifest_sending, a_tensor, noise, noise_of, with_code, with_tables

SHARE = 24
"""Bits of precision of a level's share."""
ALL = 1 << SHARE


def decoded(words: list[int], counts: list[list[int]], length: int) -> list[list[int]]:
    """`length` levels for each row of counts: a range decoder of 32-bit words with a state of 64 bits."""
    rest = iter([*words, 0, 0])
    point, lower, width = next(rest) << 32 | next(rest), 0, (1 << 64) - 1
    found = []
    for row in counts:
        spare = ALL - len(row)
        starts = [(before * spare) // TOTAL + level for level, before in enumerate([0, *accumulate(row[:-1])])] + [ALL]
        levels = []
        for _ in range(length):
            unit = width >> SHARE
            place = (point - lower) % (1 << 64) // unit
            level = max(one for one in range(len(row)) if starts[one] <= place)
            lower, width = (lower + unit * starts[level]) % (1 << 64), unit * (starts[level + 1] - starts[level])
            if width < 1 << 32:
                lower, width, point = lower << 32 & (1 << 64) - 1, width << 32, point << 32 & (1 << 64) - 1 | next(rest)
            levels.append(level)
        found.append(levels)
    return found


@pytest.mark.parametrize("name", ["affine8", "affine8c"])
def test_integers_alone_read_a_payload(name: str) -> None:
    manifest = with_tables(a_manifest_sending(a_tensor(3, 40, low=0.0, high=6.0)))
    feature = noise(manifest, FEATURE_CUT)
    payload = open_codec(f"{name}+range", manifest, FEATURE_CUT).encode(feature)
    tables = manifest.tables[FEATURE_CUT].tensors[0]
    counts_CL = tables.own_counts_CL if name.endswith("c") else tables.counts_CL
    words = np.frombuffer(payload[2:], "<u4").tolist()
    packed = open_codec(name, manifest, FEATURE_CUT).encode(feature)
    assert decoded(words, counts_CL.astype(int).tolist(), 40) == np.frombuffer(packed, np.uint8).reshape(3, 40).tolist()


@pytest.mark.parametrize("channels", [1, 4])
def test_integers_alone_read_the_payload_of_a_code(channels: int) -> None:
    manifest = with_code(a_manifest_sending(a_tensor(3)), 4, 30)
    code = noise_of(manifest.crossing(FEATURE_CUT, "slim"))
    payload = open_codec(f"slim/affine8:{channels}+range", manifest, FEATURE_CUT).encode(code)
    words = np.frombuffer(payload + bytes(-len(payload) % 4), ">u4").tolist()
    packed = open_codec(f"slim/affine8:{channels}", manifest, FEATURE_CUT).encode(code)
    counts_CL = manifest.tables["slim"].tensors[0].counts_CL[:channels].astype(int)
    assert decoded(words, counts_CL.tolist(), 30) == np.frombuffer(packed, np.uint8).reshape(channels, 30).tolist()


def test_likely_levels_take_less_than_a_bit() -> None:
    manifest = with_tables(a_manifest_sending(a_tensor(4, 1000, low=0.0, high=6.0)))
    payload = open_codec("affine8+range", manifest, FEATURE_CUT).encode((np.zeros((1, 4, 1000), np.float32),))
    assert len(payload) < 4000 / 8


def test_a_level_that_calibration_never_saw_still_travels() -> None:
    manifest = with_tables(a_manifest_sending(a_tensor(4, 10, low=0.0, high=6.0)))
    codec = open_codec("affine8+range", manifest, FEATURE_CUT)
    feature = (np.full((1, 4, 10), 6.0, np.float32),)
    assert manifest.tables[FEATURE_CUT].tensors[0].counts_CL[:, -1].max() == 0
    assert np.array_equal(codec.decode(codec.encode(feature))[0], feature[0])
    assert len(codec.encode(feature)) <= codec.max_payload


def test_words_that_were_changed_are_noticed() -> None:
    manifest = with_tables(a_manifest_sending(a_tensor(4, 10)))
    codec = open_codec("affine4c+range", manifest, FEATURE_CUT)
    payload = bytearray(codec.encode(noise(manifest, FEATURE_CUT)))
    payload[5] ^= 1
    with pytest.raises(PayloadError, match="check value"):
        codec.decode(bytes(payload))


def test_only_levels_are_coded_by_their_counts() -> None:
    manifest = with_tables(a_manifest_sending(a_tensor(4, 10)))
    with pytest.raises(
        UnknownNameError, match="range codes the levels of affine8, affine4c and the like, not what float16"
    ):
        open_codec("float16+range", manifest, FEATURE_CUT)


def test_without_counts_the_way_out_is_named() -> None:
    with pytest.raises(UnknownNameError, match="ships no counts of levels .* or take affine4"):
        open_codec("affine4+range", a_manifest_sending(a_tensor(4)), FEATURE_CUT)
