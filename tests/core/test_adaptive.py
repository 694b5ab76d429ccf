"""A rate for each sample, chosen by its code.

# C channels, K classes
"""

from dataclasses import replace

import numpy as np
import pytest

from offramp.bundle.manifest import Manifest
from offramp.bundle.tables import CutTables, ProbeTables
from offramp.codecs.adaptive import Probe, is_adaptive, sure_name, sure_of
from offramp.codecs.catalog import codec_names, open_codec, open_stage
from offramp.errors import PayloadError, UnknownNameError
from offramp.records import Array, Feature
from tests.support.features import FEATURE_CUT, a_manifest_sending, a_tensor, with_code

C, K = 4, 3
PROBE = ProbeTables(
    channels_R=np.array([1, 2, 4], np.uint16),
    weight_VK=np.eye(C, K, dtype=np.float32) * 20,
    scale_R=np.ones(3, np.float32),
    bias_RK=np.zeros((3, K), np.float32),
)
"""Channel k speaks for class k, loudly; the last channel says nothing."""


def with_probe(probe: ProbeTables | None = PROBE) -> Manifest:
    manifest = with_code(a_manifest_sending(a_tensor(8)), C, codecs=("affine8:sure9",))
    return replace(manifest, tables={"slim": CutTables(tensors=manifest.tables["slim"].tensors, probe=probe)})


MANIFEST = with_probe()


def a_code(*values: float) -> Feature:
    return (np.array([values], np.float32),)


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        (a_code(0.9, 0.0, 0.0, 0.7), 1),  # the first channel knows
        (a_code(0.1, 0.9, 0.0, 0.7), 2),  # the second one says something else
        (a_code(0.1, 0.2, 0.9, 0.7), 4),
        (a_code(0.5, 0.5, 0.5, 0.7), 4),  # they do not even agree in the end
        (a_code(np.nan, 0.0, 0.0, 0.0), 4),
    ],
)
def test_the_fewest_channels_are_sent_that_say_what_all_say(code: Feature, sent: int) -> None:
    payload = open_codec("slim/affine8:sure9", MANIFEST, FEATURE_CUT).encode(code)
    assert payload[1:] == open_codec(f"slim/affine8:{sent}", MANIFEST, FEATURE_CUT).encode(code)
    assert PROBE.channels_R[payload[0]] == sent


@pytest.mark.parametrize("name", ["affine8", "affine4", "float16", "affine3+range", "affine4+zstd", "affine4+lz4"])
def test_it_decodes_to_what_so_many_channels_decode_to(name: str) -> None:
    base, plus, stage = name.partition("+")
    adaptive = open_codec(f"slim/{base}:sure9{plus}{stage}", MANIFEST, FEATURE_CUT)
    few = open_codec(f"slim/{base}:2{plus}{stage}", MANIFEST, FEATURE_CUT)
    code = a_code(0.1, 0.9, 0.0, 0.7)
    (found,), (expected,) = adaptive.decode(adaptive.encode(code)), few.decode(few.encode(code))
    assert np.array_equal(found, expected)


def _as_defined(code: Array, sure: float) -> int:
    """Written out: the logits of each number of channels, and how probably two answers drawn by them are the same."""
    places = code[0, 0].size
    answers = []
    for rate, channels in enumerate(PROBE_OF_MANY.channels_R.tolist()):
        values = code[0, :channels].reshape(-1).astype(np.float64)
        logits_K = values @ PROBE_OF_MANY.weight_VK[: channels * places].astype(np.float64)
        logits_K = logits_K * PROBE_OF_MANY.scale_R[rate] + PROBE_OF_MANY.bias_RK[rate]
        share_K = np.exp(logits_K - logits_K.max())
        answers.append(share_K / share_K.sum())
    alike = [float(share_K @ answers[-1]) for share_K in answers]
    return next((rate for rate, found in enumerate(alike[:-1]) if found >= sure), len(answers) - 1)


_RNG = np.random.default_rng(0)
PROBE_OF_MANY = ProbeTables(
    channels_R=np.array([1, 2, 5, 8], np.uint16),
    weight_VK=_RNG.normal(0, 1, (48, 10)).astype(np.float32),
    scale_R=_RNG.uniform(0.5, 2, 4).astype(np.float32),
    bias_RK=_RNG.normal(0, 1, (4, 10)).astype(np.float32),
)


@pytest.mark.parametrize("sure", [0.2, 0.5, 0.8])
def test_the_probe_chooses_as_it_is_defined(sure: float) -> None:
    codes = np.random.default_rng(1).random((200, 1, 8, 3, 2), np.float32)
    probe = Probe(PROBE_OF_MANY)
    found = [probe.index(code, sure) for code in codes]
    assert found == [_as_defined(code, sure) for code in codes]
    assert len(set(found)) > 1


@pytest.mark.parametrize("base", ["affine4", "affine3"])
@pytest.mark.parametrize("stage", ["range", "zstd", "lz4"])
def test_the_stage_by_itself_makes_the_payload_of_the_whole(base: str, stage: str) -> None:
    name = f"slim/{base}:sure9+{stage}"
    whole, plain = (open_codec(one, MANIFEST, FEATURE_CUT) for one in (name, f"slim/{base}:sure9"))
    behind = open_stage(name, MANIFEST, FEATURE_CUT)
    assert behind is not None
    for code in (a_code(0.9, 0, 0, 0.7), a_code(0.1, 0.2, 0.9, 0.7)):
        packed = plain.encode(code)
        assert behind.compress(packed) == whole.encode(code)
        assert behind.decompress(whole.encode(code)) == packed
        assert len(whole.encode(code)) <= behind.max_payload
    with pytest.raises(PayloadError, match="knows 3 numbers of channels"):
        behind.decompress(b"\x03")


def test_a_number_of_channels_that_is_not_known_is_refused() -> None:
    codec = open_codec("slim/affine8:sure9", MANIFEST, FEATURE_CUT)
    with pytest.raises(PayloadError, match="begins with 3, and slim/affine8:sure9 knows 3 numbers of channels"):
        codec.decode(b"\x03" + bytes(4))
    with pytest.raises(PayloadError, match="a payload of 0 bytes"):
        codec.decode(b"")
    with pytest.raises(PayloadError, match="4 bytes where slim/affine8:2 takes 2"):
        codec.decode(b"\x01" + bytes(4))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("slim/affine8:sure0", "write :1 to :4 of them, or none for all, or :sure9 for as many as make 90 % sure"),
        ("slim/affine8:sure", "write :1 to :4"),
        ("slim/affine8:sure12345", "write :1 to :4"),
        ("slim/jpeg:sure9", "the code of a bottleneck is written by affine8"),
        ("slim/affine4:sure9+zstd-dict", "dictionary"),
        ("other/affine8:sure9", "other"),
        ("affine8:sure9", "affine8 takes no parameter"),
    ],
)
def test_what_cannot_adapt_is_refused_with_the_way_out(name: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        open_codec(name, MANIFEST, FEATURE_CUT)


def test_a_bundle_without_a_probe_does_not_offer_it() -> None:
    without = with_probe(None)
    assert codec_names(MANIFEST, FEATURE_CUT)[-1] == "slim/affine8:sure9"
    assert "slim/affine8:sure9" not in codec_names(without, FEATURE_CUT)
    with pytest.raises(UnknownNameError, match="ships no probe of slim's code; build it again"):
        open_codec("slim/affine8:sure9", without, FEATURE_CUT)


@pytest.mark.parametrize(("text", "sure"), [("sure9", 0.9), ("sure95", 0.95), ("sure05", 0.05), ("sure9999", 0.9999)])
def test_digits_stand_behind_the_point(text: str, sure: float) -> None:
    assert sure_of(text) == pytest.approx(sure)
    assert sure_name(sure) == text


def test_a_name_tells_whether_it_adapts() -> None:
    assert is_adaptive("slim/affine2:sure9+range")
    assert not any(map(is_adaptive, ["slim/affine2:9+range", "affine2", "sure9/affine2", "jpeg:90"]))
