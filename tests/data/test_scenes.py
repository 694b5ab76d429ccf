"""Scenes: one picture for a while, then the next; the same seed shows the same."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from offramp.data import DataSet, Part, Request, load, split
from offramp.data.scenes import as_scenes
from offramp.errors import DataError
from offramp.records import SampleSpec
from tests.data.datasets import a_data_set, write_pictures

COUNT, SIDE = 200, 12


def pictures() -> DataSet:
    """Each is grey with a white corner, and of another grey than its neighbours."""
    samples = np.zeros((COUNT, SIDE, SIDE, 3), np.uint8)
    samples[:] = (50 + np.arange(COUNT) % 100)[:, None, None, None]
    samples[:, :4, :4] = 250
    return replace(
        a_data_set(COUNT), sample=SampleSpec(kind="image", shape=(SIDE, SIDE, 3), dtype="uint8"), samples=samples
    )


def test_a_scene_shows_one_picture_with_its_truth_and_group() -> None:
    source = pictures()
    scenes = as_scenes(source, Request())
    assert scenes.truth_N.tolist() == source.truth_N[scenes.group_N].tolist()
    levels_N = scenes.samples[:, 6:, 6:].mean(axis=(1, 2, 3))
    assert (np.abs(levels_N / source.samples[scenes.group_N, 8, 8, 0] - 1) < 0.13).all()


def test_calibration_and_test_are_streams_of_scenes_and_training_sees_each_picture_once() -> None:
    source, parts = split(pictures()), split(as_scenes(pictures(), Request(), 5))
    assert len(parts.train) == parts.train.groups == len(source.train)
    for part, shown in ((parts.calibration, source.calibration), (parts.test, source.test)):
        changes = int((np.diff(part.group_N) != 0).sum())
        assert changes + 1 == part.groups == len(shown)
        assert len(part) > 2 * part.groups


def test_parts_show_the_pictures_that_a_split_of_the_source_deals_them() -> None:
    ours, theirs = split(as_scenes(pictures(), Request(seed=3)), seed=8), split(pictures(), seed=3)
    assert set(ours.test.group_N.tolist()) == set(theirs.test.group_N.tolist())


@pytest.mark.parametrize("mean_frames", [1, 5, 20])
def test_scenes_are_as_long_as_asked_on_average(mean_frames: int) -> None:
    data = replace(pictures(), part_N=np.repeat(np.array([Part.TRAIN, Part.TEST], np.int8), [20, 180]))
    test = split(as_scenes(data, Request(), mean_frames)).test
    # The mean of 180 geometric numbers is off by a quarter of itself once in a thousand times at most.
    assert abs(len(test) / 180 - mean_frames) <= 0.25 * mean_frames


def test_every_frame_is_another_view() -> None:
    test = split(as_scenes(pictures(), Request(), 20)).test
    frames = test.samples[test.group_N == test.group_N[0]].astype(int)
    assert len(frames) > 1
    assert all((one != other).any() for one, other in pairwise(frames))


def test_the_same_seed_shows_the_same_and_another_does_not() -> None:
    digests = [as_scenes(pictures(), Request(seed=seed)).digest for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_a_limit_bounds_the_frames_of_each_part_and_keeps_neighbours() -> None:
    parts = split(as_scenes(pictures(), Request(limit=40), 20))
    assert [len(part) for part in (parts.train, parts.calibration, parts.test)] == [40, 40, 40]
    assert parts.test.groups < 15


def test_a_part_ends_where_memory_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offramp.data.scenes._LARGEST_PART", 30 * SIDE * SIDE * 3)
    parts = split(as_scenes(pictures(), Request(), 20))
    assert (len(parts.calibration), len(parts.test)) == (30, 30)


def test_scenes_are_named_before_the_data_set_that_they_show(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"cat": 20, "dog": 20})
    request = Request(shape=(8, 8, 3))
    short, long = (load(f"scenes:{frames}folder:{tmp_path}", request) for frames in ("1:", ""))
    assert (len(short), short.groups) == (40, 40)
    assert len(long) > 2 * len(short)
    assert long.labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("spec", "message"),
    [("scenes:pictures", "write scenes:cifar10:PATH"), ("scenes:0:folder:pictures", "a scene of 0 frames")],
)
def test_scenes_of_nothing_are_refused(spec: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(spec)


def test_scenes_of_anything_but_pictures_are_refused() -> None:
    sound = replace(
        a_data_set(30),
        sample=SampleSpec(kind="audio", shape=(16,), dtype="int16"),
        samples=np.zeros((30, 16), np.int16),
    )
    with pytest.raises(DataError, match="'audio'; name pictures"):
        as_scenes(sound, Request())
