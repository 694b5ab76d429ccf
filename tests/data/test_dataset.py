"""Splitting: disjoint, whole groups, what the publisher decided stays."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.data import Part, split
from offramp.data.dataset import positions
from offramp.errors import DataError
from tests.data.datasets import a_data_set, numbers_in


@given(groups=st.lists(st.integers(0, 9), min_size=20, max_size=60), seed=st.integers(0, 99))
def test_parts_are_disjoint_cover_everything_and_never_share_a_group(groups: list[int], seed: int) -> None:
    data = a_data_set(len(groups), groups=groups)
    if data.groups < 3:
        return
    parts = split(data, seed=seed)
    held = [parts.train, parts.calibration, parts.test]
    assert sum(map(len, held)) == len(data)
    assert set.union(*map(numbers_in, held)) == numbers_in(data)
    shared = [set(one.group_N.tolist()) for one in held]
    assert sum(map(len, shared)) == data.groups


def test_the_same_seed_splits_the_same_and_another_does_not() -> None:
    data = a_data_set(100)
    assert numbers_in(split(data, seed=1).test) == numbers_in(split(data, seed=1).test)
    assert numbers_in(split(data, seed=1).test) != numbers_in(split(data, seed=2).test)


def test_the_publishers_test_part_stays_and_calibration_is_drawn_from_the_rest() -> None:
    data = a_data_set(30, parts=[Part.TRAIN] * 20 + [Part.TEST] * 10)
    parts = split(data)
    assert numbers_in(parts.test) == set(range(20, 30))
    assert len(parts.calibration) == 2
    assert numbers_in(parts.train) | numbers_in(parts.calibration) == set(range(20))


def test_too_few_groups_for_three_parts_are_refused() -> None:
    with pytest.raises(DataError, match="too few for three disjoint parts"):
        split(a_data_set(6, groups=[0, 0, 0, 1, 1, 1]))


def test_a_group_that_the_publisher_put_into_two_parts_is_refused() -> None:
    with pytest.raises(DataError, match="group 7 lies in two"):
        split(a_data_set(6, groups=[7, 7, 1, 2, 3, 4], parts=[Part.TRAIN, Part.TEST, *[Part.TRAIN] * 4]))


def test_truth_outside_the_labels_is_refused() -> None:
    with pytest.raises(DataError, match="run from 0 to 2, but there are 2 labels"):
        replace(a_data_set(6, classes=3), labels=("a", "b"))


def test_a_limit_keeps_so_many_of_each_part_in_order() -> None:
    data = a_data_set(30, parts=[Part.TRAIN] * 20 + [Part.TEST] * 10).limited(5)
    assert [int((data.part_N == part).sum()) for part in (Part.TRAIN, Part.TEST)] == [5, 5]
    assert (np.diff(data.samples[:, 0, 0, 0].astype(int)) > 0).all()


def test_a_limit_keeps_the_beginning_of_every_stream() -> None:
    streams = np.array(["long"] * 12 + ["short"] * 6)
    data = replace(a_data_set(18, parts=[Part.TEST] * 18), stream_N=streams).limited(6)
    assert data.samples[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 12, 13]
    assert data.stream_N is not None
    assert data.stream_N.tolist() == ["long"] * 4 + ["short"] * 2


def test_positions_count_within_each_stream() -> None:
    assert positions(np.array(["b", "a", "b", "a", "b"])).tolist() == [0, 0, 1, 1, 2]


def test_streams_stay_with_their_samples_in_a_split() -> None:
    streams = np.array([f"stream {number // 3}" for number in range(30)])
    data = replace(a_data_set(30, groups=[number // 3 for number in range(30)]), stream_N=streams)
    parts = split(data)
    for part in (parts.train, parts.calibration, parts.test):
        assert part.stream_N is not None
        assert part.stream_N.tolist() == [f"stream {group}" for group in part.group_N]


def test_a_stream_for_some_samples_only_is_refused() -> None:
    with pytest.raises(DataError, match=r"6 samples but streams of shape \(5,\)"):
        replace(a_data_set(6), stream_N=np.array(["one"] * 5))


def test_taking_neighbours_shares_memory_and_taking_others_does_not() -> None:
    data = a_data_set(10)
    assert np.shares_memory(data.take(np.array([3, 4, 5])).samples, data.samples)
    assert numbers_in(data.take(np.array([5, 3]))) == {3, 5}
