"""What a probe learns of a code's first channels.

# N samples, C channels
"""

import numpy as np
import pytest
import torch
from torch import Tensor

from offramp.bundle.tables import ProbeTables
from offramp.codecs.adaptive import Probe
from offramp_builder.bottlenecks.probing import fit_probe

N, CLASSES, SENT = 2_000, 3, (1, 2, 4)


def some_codes(*, seed: int) -> tuple[Tensor, np.ndarray]:
    """[N, 5, 2, 2] where the first channel tells class 0 from the others, and the second one 1 from 2."""
    rng = np.random.default_rng(seed)
    truth_N = rng.integers(0, CLASSES, N)
    code = 0.5 + rng.normal(0, 0.05, (N, 5, 2, 2))
    code[:, 0] += np.where(truth_N == 0, 0.3, -0.3)[:, None, None]
    code[:, 1] += np.where(truth_N == 0, 0.0, np.where(truth_N == 1, 0.3, -0.3))[:, None, None]
    return torch.from_numpy(code.clip(0, 1).astype(np.float32)), truth_N


@pytest.fixture(scope="module")
def tables() -> ProbeTables:
    return fit_probe(*some_codes(seed=0), SENT, CLASSES)


def test_a_probe_is_of_the_channels_that_are_ever_sent(tables: ProbeTables) -> None:
    assert tables.channels_R.tolist() == [*SENT]
    assert tables.weight_VK.shape == (4 * 2 * 2, CLASSES)
    assert tables.bias_RK.shape == (len(SENT), CLASSES)


def test_as_many_channels_are_taken_as_a_sample_needs(tables: ProbeTables) -> None:
    code, truth_N = some_codes(seed=1)
    probe = Probe(tables)
    index_N = np.array([probe.index(one, 0.9) for one in code[:, None].numpy()])
    # One channel tells class 0; whether it is 1 or 2, the second says.
    assert (index_N[truth_N == 0] == 0).mean() > 0.95
    assert (index_N[truth_N != 0] == 1).mean() > 0.95


def test_it_says_the_same_with_the_same_seed(tables: ProbeTables) -> None:
    again = fit_probe(*some_codes(seed=0), SENT, CLASSES)
    assert np.array_equal(again.weight_VK, tables.weight_VK)
    other = fit_probe(*some_codes(seed=0), SENT, CLASSES, seed=1)
    assert not np.array_equal(other.weight_VK, tables.weight_VK)
