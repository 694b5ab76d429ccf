from dataclasses import replace

from offramp.codecs.usual import candidate_codecs, known_codecs
from tests.support.features import FEATURE_CUT, a_manifest_of_samples, a_manifest_sending, a_tensor, with_tables

PLAIN = a_manifest_sending(a_tensor(4, 6, low=0.0))
TABLED = with_tables(PLAIN)


def test_without_tables_a_feature_has_the_candidates_of_old() -> None:
    assert candidate_codecs(PLAIN)[FEATURE_CUT] == ["affine8+zstd", "float16+zstd"]


def test_tables_bring_a_few_more_with_the_dictionary_where_there_is_one() -> None:
    more = ["affine4c+zstd-dict", "affine3c+zstd", "affine2c+zstd"]
    assert candidate_codecs(TABLED)[FEATURE_CUT] == ["affine8+zstd", "float16+zstd", *more]


def test_other_cuts_of_the_same_bundle_are_as_they_were() -> None:
    assert candidate_codecs(TABLED)[FEATURE_CUT + 1] == candidate_codecs(PLAIN)[FEATURE_CUT + 1]


def test_what_candidates_use_is_known_and_so_profiled() -> None:
    known = known_codecs(TABLED)
    assert all(set(names) <= set(known[split]) for split, names in candidate_codecs(TABLED).items())


def test_candidates_use_only_what_every_device_has() -> None:
    stages = {name.partition("+")[2] for names in candidate_codecs(TABLED).values() for name in names}
    assert stages <= {"", "zstd", "zstd-dict"}


def test_signals_of_floats_may_travel_in_their_calibrated_range() -> None:
    manifest = a_manifest_of_samples("ecg", "float32", 180, 1)
    ranged = replace(manifest, cuts=(replace(manifest.cuts[0], tensors=(a_tensor(180, 1),)), *manifest.cuts[1:]))
    assert candidate_codecs(ranged)[0] == ["raw+zstd", "delta+zstd", "affine8+zstd"]


def test_signals_may_travel_as_differences() -> None:
    assert candidate_codecs(a_manifest_of_samples("ecg", "float32", 180, 1))[0] == ["raw+zstd", "delta+zstd"]
    assert candidate_codecs(a_manifest_of_samples("array", "int64", 9))[0] == ["raw+zstd"]
