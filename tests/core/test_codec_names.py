import pytest

from offramp.codecs.catalog import codec_names, open_codec
from offramp.errors import PlanError, UnknownNameError
from tests.support.features import FEATURE_CUT, a_manifest_of_samples, a_manifest_sending, a_tensor
from tests.support.manifests import a_manifest

MANIFEST = a_manifest()
END = MANIFEST.end


def test_every_listed_name_opens() -> None:
    listed = [(name, cut) for cut in range(END + 1) for name in codec_names(MANIFEST, cut)]
    assert [(open_codec(name, MANIFEST, cut).name, cut) for name, cut in listed] == listed
    assert {cut for _, cut in listed} == set(range(END + 1))


def test_an_image_may_be_sent_as_a_file_or_raw() -> None:
    names = codec_names(MANIFEST, 0)
    assert {"jpeg:75", "webp:80", "webp:lossless", "png", "raw", "raw+zstd"} <= set(names)
    assert "affine8" not in names


def test_a_feature_may_be_sent_as_floats_or_bytes() -> None:
    floats = ["affine8", "affine8+zstd", "float16", "float16+zstd", "float32", "float32+zstd"]
    assert codec_names(MANIFEST, 2) == floats


def test_nothing_but_none_at_the_end() -> None:
    assert codec_names(MANIFEST, END) == ["none"]


def test_every_quality_from_1_to_100_opens() -> None:
    for quality in (1, 33, 100):
        assert open_codec(f"jpeg:{quality}", MANIFEST, 0).name == f"jpeg:{quality}"
        assert open_codec(f"webp:{quality}", MANIFEST, 0).name == f"webp:{quality}"


def test_samples_without_a_picture_have_no_image_codec() -> None:
    assert codec_names(a_manifest_of_samples("audio", "int16", 16000), 0) == ["raw", "raw+zstd"]


def test_a_cut_with_a_tensor_of_integers_is_sent_raw() -> None:
    manifest = a_manifest_sending(a_tensor(4), a_tensor(2, dtype="int32"))
    assert codec_names(manifest, FEATURE_CUT) == ["raw", "raw+zstd"]


@pytest.mark.parametrize(
    ("name", "cut", "message"),
    [
        ("affine9", 2, "at cut 2 there is no codec 'affine9'; did you mean 'affine8'"),
        ("jpg:90", 0, "did you mean 'jpeg:90'"),
        ("", 2, "there is no codec ''"),
        ("AFFINE8", 2, "there is no codec"),
        ("affine8+", 2, "there is no codec"),
        ("affine8+zstd+zstd", 2, "there is no codec"),
        ("affine8 +zstd", 2, "there is no codec"),
        ("affine8+zst", 2, "there is no entropy stage 'zst'; did you mean 'zstd'"),
        ("affine8:4", 2, "affine8 takes no parameter"),
        ("png+zstd", 0, "png takes no entropy stage"),
        ("jpeg", 0, "jpeg without a quality; write jpeg:1 to jpeg:100"),
        ("jpeg:0", 0, "jpeg:0"),
        ("jpeg:101", 0, "jpeg:101"),
        ("jpeg:075", 0, "jpeg:075"),
        ("jpeg:lossless", 0, "jpeg:lossless"),
        ("webp:losless", 0, "or webp:lossless"),
        ("jpeg:90", 2, r"cannot be used at cut 2 \(block2\): JPEG is for images at cut 0; known: affine8"),
        ("affine8", 0, "it is for float tensors, and here is one of uint8"),
        ("raw", 2, "float32 does the same"),
        ("float32", END, "nothing is sent at the end"),
        ("none", 2, "sends nothing"),
    ],
)
def test_a_name_that_does_not_apply_is_refused_with_the_way_out(name: str, cut: int, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        open_codec(name, MANIFEST, cut)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (0.0, 0.0, "no calibrated range"),
        (2.0, 1.0, "no calibrated range"),
        (0.0, float("inf"), "no calibrated range"),
        (float("nan"), 1.0, "no calibrated range"),
        (0.0, 1e-38, "too narrow or too wide"),
        (-1e38, 1e38, "too narrow or too wide"),
        (1e6, 1e6 + 1, "too narrow or too wide"),
    ],
)
def test_affine8_needs_a_range_that_float32_can_divide(low: float, high: float, message: str) -> None:
    manifest = a_manifest_sending(a_tensor(4, low=low, high=high))
    with pytest.raises(UnknownNameError, match=message):
        open_codec("affine8", manifest, FEATURE_CUT)
    assert "affine8" not in codec_names(manifest, FEATURE_CUT)


def test_float16_is_refused_where_values_would_become_infinite() -> None:
    with pytest.raises(UnknownNameError, match="float16 ends at 65504"):
        open_codec("float16", a_manifest_sending(a_tensor(4, low=0.0, high=7e4)), FEATURE_CUT)


@pytest.mark.parametrize("start", ["", "affine8:", "jpeg:", "affine8+"])
def test_a_long_name_is_not_repeated_in_full(start: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        open_codec(start + "x" * 1_000_000, MANIFEST, 2)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("cut", [-1, END + 1])
def test_a_cut_that_does_not_exist_is_refused(cut: int) -> None:
    with pytest.raises(PlanError, match=f"cut {cut} does not exist"):
        open_codec("raw", MANIFEST, cut)


def test_image_codecs_need_bytes_of_one_or_three_channels_and_sides_they_can_hold() -> None:
    for manifest in (
        a_manifest_of_samples("image", "float32", 16, 16, 3),
        a_manifest_of_samples("image", "uint8", 16, 16, 4),
        a_manifest_of_samples("image", "uint8", 16, 16),
        a_manifest_of_samples("image", "uint8", 16, 70_000, 3),
    ):
        assert not {"jpeg:75", "webp:80"} & set(codec_names(manifest, 0))
