"""Codecs of a bottleneck's code: which channels are sent, and what the beginning of a payload says.

# C channels
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.bundle.manifest import Manifest
from offramp.codecs.catalog import codec_names, every_codec_name, open_codec
from offramp.codecs.leading import Leading
from offramp.errors import PayloadError, PlanError, UnknownNameError
from offramp.records import Feature
from tests.support.features import FEATURE_CUT, a_manifest_sending, a_tensor, noise_of, with_code, with_tables

C, PLACES = 16, (4, 4)
MANIFEST = with_code(a_manifest_sending(a_tensor(8, 8, 8)), C, *PLACES, codecs=("affine4:4+range", "affine8"))
BITS = (8, 6, 4, 3, 2)


def opened(name: str, manifest: Manifest = MANIFEST) -> Leading:
    codec = open_codec(f"slim/{name}", manifest, FEATURE_CUT)
    assert isinstance(codec, Leading)
    return codec


def a_code(seed: int = 0) -> Feature:
    return noise_of(MANIFEST.crossing(FEATURE_CUT, "slim"), seed=seed)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("channels", [1, 3, 8, C])
def test_a_payload_without_a_stage_is_its_levels_and_nothing_else(bits: int, channels: int) -> None:
    assert len(opened(f"affine{bits}:{channels}").encode(a_code())) == channels * 16 * bits // 8


@pytest.mark.parametrize("stage", ["", "+range", "+zstd"])
def test_without_a_number_all_channels_are_sent(stage: str) -> None:
    assert opened(f"affine4{stage}").encode(a_code()) == opened(f"affine4:{C}{stage}").encode(a_code())


@pytest.mark.parametrize("stage", ["", "+range"])
@settings(max_examples=60, deadline=None)
@given(bits=st.sampled_from(BITS), fewer=st.integers(1, C), more=st.integers(1, C), seed=st.integers(0, 9))
def test_a_payload_of_fewer_channels_is_the_beginning_of_one_of_more(
    stage: str, bits: int, fewer: int, more: int, seed: int
) -> None:
    fewer, more = min(fewer, more), max(fewer, more)
    few, many = opened(f"affine{bits}:{fewer}{stage}"), opened(f"affine{bits}:{more}{stage}")
    whole, alone = many.encode(a_code(seed)), few.encode(a_code(seed))
    begun = few.beginning_of(whole)
    assert begun == whole[: len(begun)]
    assert begun == alone or (stage and len(begun) >= len(alone))
    (found,), (expected,) = few.decode(begun), few.decode(alone)
    assert np.array_equal(found, expected)


def test_the_beginning_of_a_range_coded_payload_is_hardly_longer_than_one_of_its_own() -> None:
    few, many = opened("affine4:5+range"), opened("affine4+range")
    more = [len(few.beginning_of(many.encode(a_code(seed)))) - len(few.encode(a_code(seed))) for seed in range(100)]
    assert 0 <= np.mean(more) <= 1


def test_channels_that_fill_no_bytes_share_one_which_the_beginning_clears() -> None:
    manifest = with_code(a_manifest_sending(a_tensor(8, 8, 8)), 4, 3)
    (code,) = noise_of(manifest.crossing(FEATURE_CUT, "slim"))
    few, many = opened("affine3:2", manifest), opened("affine3", manifest)
    begun = few.beginning_of(many.encode((code,)))
    assert begun[:-1] == many.encode((code,))[: len(begun) - 1]
    assert begun == few.encode((code,))


def test_the_beginning_of_a_compressed_frame_says_nothing() -> None:
    few, many = opened("affine4:4+zstd"), opened("affine4+zstd")
    with pytest.raises(PayloadError, match=r"have no such part; those without a stage do, or with \+range"):
        few.beginning_of(many.encode(a_code()))


@pytest.mark.parametrize("name", ["affine4:8", "affine4:8+range"])
def test_what_is_too_short_for_a_codec_begins_with_no_payload_of_it(name: str) -> None:
    with pytest.raises(PayloadError):
        opened(name).beginning_of(opened(name).encode(a_code())[:-1])


@settings(max_examples=60, deadline=None)
@given(bits=st.sampled_from(BITS), channels=st.integers(1, C), seed=st.integers(0, 30))
def test_range_coded_levels_end_on_the_byte_and_are_missed_when_cut_anywhere(
    bits: int, channels: int, seed: int
) -> None:
    codec = opened(f"affine{bits}:{channels}+range")
    payload = codec.encode(a_code(seed))
    for size in range(len(payload)):
        with pytest.raises(PayloadError):
            codec.decode(payload[:size])
    for more in (b"\0", b"\xff", payload):
        with pytest.raises(PayloadError, match="go on behind|largest|at most"):
            codec.decode(payload + more)


def test_range_coding_costs_less_than_a_byte_beyond_what_its_counts_say() -> None:
    codec = opened("affine4+range")
    counts_CL = MANIFEST.tables["slim"].tensors[0].counts_CL.astype(float)
    spent, told = 0.0, 0
    for seed in range(20):
        (code,) = a_code(seed)
        level_CK = np.floor(np.clip(code, 0, 1) * 15 + 0.5).astype(int).reshape(C, -1)
        spent += sum(float(_bits(counts_CL[channel], level_K).sum()) for channel, level_K in enumerate(level_CK))
        told += len(codec.encode((code,)))
    assert spent / 8 <= told <= spent / 8 + 20


def _bits(counts_L: np.ndarray, level_K: np.ndarray) -> np.ndarray:
    coarse = (2 * np.arange(256) * 15 + 255) // 510
    shares = np.bincount(coarse, weights=counts_L, minlength=16) / counts_L.sum()
    return np.asarray(-np.log2(shares[level_K]))


def test_bottlenecks_bring_the_codecs_that_are_worth_trying() -> None:
    names = codec_names(MANIFEST, FEATURE_CUT)
    assert [name for name in names if "/" in name] == ["slim/affine4:4+range", "slim/affine8"]
    assert not any("/" in name for name in codec_names(MANIFEST, 2))


def test_every_name_of_a_code_opens() -> None:
    names = every_codec_name(MANIFEST, FEATURE_CUT)
    assert [open_codec(name, MANIFEST, FEATURE_CUT).name for name in names] == names
    assert any(name.startswith("slim/") for name in names)


@pytest.mark.parametrize(
    ("name", "cut", "message"),
    [
        ("slim/affine4:17", FEATURE_CUT, "slim has 16 channels; write :1 to :16 of them, or none for all"),
        ("slim/affine4:0", FEATURE_CUT, "write :1 to :16"),
        ("slim/affine4:all", FEATURE_CUT, "write :1 to :16"),
        ("slim/affine4", 2, "leads around cut 1 .*, not around cut 2; split at 1"),
        ("slum/affine4", FEATURE_CUT, "there is no bottleneck 'slum'; did you mean 'slim'"),
        ("slim/affine4c", FEATURE_CUT, "written by affine8, affine4 and the like"),
        ("slim/affine4z", FEATURE_CUT, "written by affine8, affine4 and the like"),
        ("slim/jpeg:90", FEATURE_CUT, "written by affine8, affine4 and the like"),
        ("affine4:8", FEATURE_CUT, "takes no parameter but on the code of a bottleneck, whose name stands before it"),
        ("slim/", FEATURE_CUT, "there is no codec 'slim/'"),
        ("/affine4", FEATURE_CUT, "there is no codec '/affine4'"),
        ("slim/slim/affine4", FEATURE_CUT, "there is no codec"),
    ],
)
def test_a_code_that_cannot_be_written_so_is_refused_with_the_way_out(name: str, cut: int, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        open_codec(name, MANIFEST, cut)


def test_without_counts_a_code_is_not_range_coded() -> None:
    manifest = with_code(a_manifest_sending(a_tensor(8, 8, 8)), 4, tables=False)
    with pytest.raises(UnknownNameError, match="ships no counts of levels"):
        opened("affine4+range", manifest)


def test_a_bottleneck_and_the_tables_of_its_cut_do_not_meet() -> None:
    plain = with_tables(a_manifest_sending(a_tensor(4, 10)))
    both = with_code(plain, C, *PLACES)
    feature = noise_of(plain.cuts[FEATURE_CUT].tensors)
    (one, other) = (open_codec("affine4c+range", manifest, FEATURE_CUT).encode(feature) for manifest in (plain, both))
    assert one == other


def test_a_cut_knows_its_bottlenecks_alone() -> None:
    with pytest.raises(PlanError, match="split at 1 to use it"):
        replace(MANIFEST, name="x").crossing(3, "slim")


def test_what_a_bottleneck_was_made_for_and_this_bundle_cannot_write_is_not_offered() -> None:
    manifest = with_code(
        a_manifest_sending(a_tensor(8, 8, 8)),
        4,
        tables=False,
        codecs=("affine4+range", "affine4:9", "jpeg:90", "affine4"),
    )
    assert [name for name in codec_names(manifest, FEATURE_CUT) if "/" in name] == ["slim/affine4"]
