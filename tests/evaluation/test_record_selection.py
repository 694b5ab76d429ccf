from dataclasses import replace

import numpy as np
import pytest

from offramp.data import DataSet, Part, split
from offramp.errors import DataError
from offramp.measure.listen import Heard
from offramp.records import SampleSpec
from offramp.tape.header import FINAL, CodecEntry, tail_voice
from offramp_evaluation.recording.screen import screened
from offramp_evaluation.recording.selection import select
from tests.support.manifests import a_manifest

MANIFEST = a_manifest()
COUNT = 200


def some_data(*, labels: tuple[str, ...] = MANIFEST.labels, part: Part = Part.UNASSIGNED, side: int = 16) -> DataSet:
    rng = np.random.default_rng(0)
    return DataSet(
        name="noise",
        sample=SampleSpec(kind="image", shape=(side, side, 3), dtype="uint8"),
        labels=labels,
        samples=rng.integers(0, 256, (COUNT, side, side, 3), dtype=np.uint8),
        truth_N=rng.integers(0, len(labels), COUNT),
        group_N=np.arange(COUNT) // 5,
        part_N=np.full(COUNT, part, np.int8),
        digest="0" * 64,
    )


@pytest.mark.parametrize("seed", [0, 3])
def test_subsets_are_those_of_the_builder(seed: int) -> None:
    data = some_data()
    parts = split(data, seed=seed)
    selection = select(data, MANIFEST, ("calibration", "test"), seed=seed)
    for name, part in (("calibration", parts.calibration), ("test", parts.test)):
        rows = np.flatnonzero(selection.subset_M == name)
        np.testing.assert_array_equal(selection.samples(rows), part.samples)
        np.testing.assert_array_equal(selection.truth_M[rows], part.truth_N)


def test_a_limit_keeps_whole_groups() -> None:
    selection = select(some_data(), MANIFEST, ("train",), limit=23)
    assert len(selection) == 23
    assert np.unique(selection.group_M, return_counts=True)[1].tolist().count(5) == 4


def test_without_streams_a_subset_is_one() -> None:
    selection = select(some_data(), MANIFEST, ("calibration", "test"))
    assert set(selection.stream_M.tolist()) == {"noise/calibration", "noise/test"}
    for name in ("calibration", "test"):
        index_M = selection.index_M[selection.subset_M == name]
        assert index_M.tolist() == list(range(len(index_M)))


def test_each_stream_counts_its_own_samples() -> None:
    part_N = np.repeat(np.array([Part.TEST, Part.TRAIN, Part.CALIBRATION], np.int8), [5, 95, 100])
    data = replace(some_data(), part_N=part_N, stream_N=np.array(["b", "a", "a", "b"] * (COUNT // 4)))
    selection = select(data, MANIFEST, ("test",))
    assert selection.stream_M.tolist() == [f"noise/test/{name}" for name in "baabb"]
    assert selection.index_M.tolist() == [0, 0, 1, 1, 2]


def test_the_digest_tells_order_and_choice_apart() -> None:
    data = some_data()
    digests = [
        select(data, MANIFEST, ("test",)).digest,
        select(data, MANIFEST, ("calibration",)).digest,
        select(data, MANIFEST, ("test",), seed=1).digest,
        select(data, MANIFEST, ("test",), limit=10).digest,
    ]
    assert len(set(digests)) == 4
    assert digests[0] == select(some_data(), MANIFEST, ("test",)).digest


def test_truth_counts_in_the_labels_of_the_bundle() -> None:
    turned = tuple(reversed(MANIFEST.labels))
    data = some_data(labels=turned)
    selection = select(data, MANIFEST, ("train",))
    assert [MANIFEST.labels[truth] for truth in selection.truth_M] == [
        turned[truth] for truth in data.truth_N[selection.id_M]
    ]


def test_classes_that_the_bundle_does_not_know_are_refused() -> None:
    with pytest.raises(DataError, match="'a bird' is none of the 5 labels"):
        select(some_data(labels=("a bird", "class 1")), MANIFEST, ("test",))


def test_samples_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"\(8, 8, 3\), the bundle 'a test network' takes uint8 \(16, 16, 3\)"):
        select(some_data(side=8), MANIFEST, ("test",))


# Screening

TRUTH = np.zeros(10, dtype=np.int64)
RIGHT, WRONG = (np.eye(5, dtype=np.float32)[[label] * 10] for label in (0, 1))
HALF = np.where(np.arange(10)[:, None] < 5, RIGHT, WRONG)


def heard_at(split: int, **ways: tuple[np.ndarray, int]) -> tuple[Heard, list[CodecEntry]]:
    """By codec: its tail's logits and its bytes; dots in a name stand for colons."""
    named = {name.replace("_", ":"): value for name, value in ways.items()}
    heard = Heard(
        logits={FINAL: RIGHT} | {tail_voice(split, name): logits for name, (logits, _) in named.items()},
        scores={},
        payload_bytes={(split, name): np.full(10, size) for name, (_, size) in named.items()},
    )
    return heard, [CodecEntry(split=split, codec=name, voice=tail_voice(split, name)) for name in named]


def kept(heard: Heard, entries: list[CodecEntry], protected: set[tuple[int, str]] = frozenset()) -> set[str]:  # type: ignore[assignment]
    codecs, _ = screened(heard, entries, TRUTH, protected)
    return {name for _, names in codecs for name in names}


def test_more_bytes_that_are_never_better_are_dropped() -> None:
    heard, entries = heard_at(2, large=(HALF, 1000), small=(HALF, 500))
    assert kept(heard, entries) == {"small"}


def test_what_was_dropped_is_told_with_its_rival() -> None:
    heard, entries = heard_at(2, large=(HALF, 1000), small=(HALF, 500))
    assert screened(heard, entries, TRUTH, ())[1] == ["2:large (1000 bytes, never better than small with 500)"]


def test_a_single_sample_on_which_it_alone_is_right_keeps_a_codec() -> None:
    once = HALF.copy()
    once[9] = RIGHT[9]
    heard, entries = heard_at(2, large=(once, 1000), small=(HALF, 500))
    assert kept(heard, entries) == {"large", "small"}


def test_nearly_equal_sizes_drop_nobody() -> None:
    heard, entries = heard_at(2, large=(HALF, 1000), small=(HALF, 980))
    assert kept(heard, entries) == {"large", "small"}


def test_what_candidates_send_is_kept() -> None:
    heard, entries = heard_at(2, large=(HALF, 1000), small=(HALF, 500))
    assert kept(heard, entries, {(2, "large")}) == {"large", "small"}


def test_at_the_input_each_format_keeps_its_best() -> None:
    ways = {"jpeg_90": (RIGHT, 900), "jpeg_50": (RIGHT, 500), "webp_50": (RIGHT, 400)}
    assert kept(*heard_at(0, **ways)) == {"jpeg:50", "webp:50"}


def test_entropy_stages_share_the_fate_of_their_quantiser() -> None:
    voice = tail_voice(2, "affine8")
    heard = Heard(
        logits={FINAL: RIGHT, voice: HALF},
        scores={},
        payload_bytes={(2, "affine8"): np.full(10, 900), (2, "affine8+zstd"): np.full(10, 300)},
    )
    entries = [CodecEntry(split=2, codec=name, voice=voice) for name in ("affine8", "affine8+zstd")]
    assert kept(heard, entries) == {"affine8", "affine8+zstd"}
