import pytest

from offramp.bundle.jsonform import from_json, to_json
from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import TensorSpec
from offramp.errors import BundleError, PlanError
from tests.support.manifests import a_manifest

MANIFEST = a_manifest()


def test_a_manifest_survives_json() -> None:
    assert from_json(Manifest, to_json(MANIFEST)) == MANIFEST


def test_cuts_go_by_index_by_name_and_by_end() -> None:
    assert [MANIFEST.find_cut(text) for text in ("0", "input", "block2", "3", "end", "output")] == [0, 0, 2, 3, 4, 4]


@pytest.mark.parametrize(("text", "message"), [("5", "past the end"), ("blok2", "did you mean 'block2'"), ("-1", "-1")])
def test_a_cut_that_is_not_kept_is_refused(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        MANIFEST.find_cut(text)


def test_a_segment_is_found_with_and_without_its_branch() -> None:
    assert MANIFEST.segment(0, 2, branch=True).file == "graph/0-2b.onnx"
    assert MANIFEST.segment(0, 2, branch=False).file == "graph/0-2.onnx"


def test_a_segment_that_is_not_there_is_named() -> None:
    with pytest.raises(PlanError, match="no segment from cut 0 to cut 3 with its branch"):
        MANIFEST.segment(0, 3, branch=True)


def test_sizes_follow_from_shape_and_dtype() -> None:
    assert TensorSpec(shape=(2, 3), dtype="int16").nbytes == 12
    assert TensorSpec(shape=(), dtype="float32").nbytes == 4
    assert MANIFEST.cuts[0].nbytes == 16 * 16 * 3


def test_a_whole_number_may_stand_where_a_float_belongs_but_no_flag() -> None:
    form = {"shape": [1], "dtype": "float32", "low": 0, "high": 6}
    assert from_json(TensorSpec, form).high == 6.0
    with pytest.raises(BundleError, match=r"TensorSpec.shape\[0\] is True, not int"):
        from_json(TensorSpec, {**form, "shape": [True]})


def test_a_huge_wrong_value_is_not_repeated_in_full() -> None:
    with pytest.raises(BundleError) as caught:
        from_json(TensorSpec, "x" * 1_000_000)
    assert len(str(caught.value)) < 200
