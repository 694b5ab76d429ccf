"""Which samples an epoch meets: each once, or rare classes more often; and what noise does to signals."""

import numpy as np
import pytest

from offramp.errors import SettingsError
from offramp_builder.training.augment import augment
from offramp_builder.training.balance import rows_of_epoch
from offramp_builder.training.settings import TrainSettings

TRUTH_N = np.repeat([0, 1, 2], [9_000, 900, 100])


def shares(balance: float) -> list[float]:
    rows = rows_of_epoch(TRUTH_N, balance, np.random.default_rng(0))
    return [float(share) for share in np.bincount(TRUTH_N[rows], minlength=3) / len(rows)]


def test_without_balance_every_sample_comes_once() -> None:
    rows = rows_of_epoch(TRUTH_N, 0.0, np.random.default_rng(0))
    assert sorted(rows.tolist()) == list(range(len(TRUTH_N)))


def test_with_full_balance_all_classes_come_equally_often() -> None:
    assert shares(1.0) == pytest.approx([1 / 3] * 3, abs=0.02)


def test_between_them_a_class_comes_by_a_power_of_its_size() -> None:
    roots = np.sqrt([9_000, 900, 100])
    assert shares(0.5) == pytest.approx((roots / roots.sum()).tolist(), abs=0.02)


def test_a_class_of_a_few_samples_is_not_repeated_without_end() -> None:
    truth_N = np.repeat([0, 1], [9_998, 2])
    rows = rows_of_epoch(truth_N, 1.0, np.random.default_rng(0))
    assert np.bincount(rows)[truth_N == 1].max() < 300  # each of the two would come 2,500 times


def test_balance_out_of_range_is_refused() -> None:
    with pytest.raises(SettingsError, match="balance 1.5 is out of range; give one between 0 and 1"):
        TrainSettings(epochs=1, balance=1.5)


def test_an_epoch_of_less_than_a_batch_is_refused() -> None:
    with pytest.raises(SettingsError, match="an epoch of 10 samples is less than one batch of 128"):
        TrainSettings(epochs=1, epoch_size=10)


def test_noise_is_added_to_signals_up_to_the_stated_amount() -> None:
    silent_NL = np.zeros((200, 64), np.float32)
    moved_NL = augment(silent_NL, TrainSettings(epochs=1, noise=0.5), np.random.default_rng(0))
    amount_N = moved_NL.std(axis=1)
    assert moved_NL.dtype == np.float32
    assert 0.2 < amount_N.mean() < 0.3
    assert amount_N.max() < 0.7
    assert not silent_NL.any()
