"""The benchmark of placement: what a sample takes is told from what else the machine does."""

import numpy as np
import pytest

from benchmarks.placement import Measured


def test_a_sample_takes_the_median_of_those_that_go_its_way() -> None:
    way_N = np.array([1, 1, 1, 2])
    seconds_RN = np.where(way_N == 1, 1.0, 3.0) * np.ones((5, 4))
    seconds_RN[0, 0] = seconds_RN[2, 3] = 100.0  # the machine did something else
    found = Measured(seconds_RN=seconds_RN, way_N=way_N, right_N=np.ones(4, np.bool_))
    assert found.mean == pytest.approx((3 * 1.0 + 3.0) / 4)
