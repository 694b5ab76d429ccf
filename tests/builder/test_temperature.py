"""Temperature scaling finds the number that makes confidences true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp_builder.temperature import fit_temperature, negative_log_likelihood


def logits_that_mean_what_they_say(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits_NK = rng.normal(0, 2, (20_000, 5)).astype(np.float32)
    p_NK = np.exp(logits_NK) / np.exp(logits_NK).sum(1, keepdims=True)
    return logits_NK, (p_NK.cumsum(1) > rng.random((len(p_NK), 1))).argmax(1)


@pytest.mark.parametrize("overconfidence", [0.3, 1.0, 4.0])
def test_the_temperature_undoes_overconfidence(overconfidence: float) -> None:
    logits_NK, truth_N = logits_that_mean_what_they_say(0)
    assert fit_temperature(overconfidence * logits_NK, truth_N) == pytest.approx(overconfidence, rel=0.05)


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 50))
def test_no_temperature_fits_worse_than_none(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits_NK = (scale * rng.normal(0, 1, (50, 4))).astype(np.float32)
    truth_N = rng.integers(0, 4, 50)
    fitted = negative_log_likelihood(logits_NK, truth_N, fit_temperature(logits_NK, truth_N))
    assert fitted <= negative_log_likelihood(logits_NK, truth_N, 1.0) + 1e-9
