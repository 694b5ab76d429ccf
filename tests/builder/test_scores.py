"""The fused scores of an exit, against their definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from offramp.bundle.manifest import SCORES
from offramp.errors import ModelError
from offramp_builder.scores import FusedScores

LOGITS = st.integers(2, 12).flatmap(
    lambda classes: arrays(np.float32, (3, classes), elements=st.floats(-60, 60, width=32))
)


def defined(logits_NK: NDArray[np.float32], temperature: float) -> dict[str, NDArray[np.float64]]:
    z_NK = logits_NK.astype(np.float64) / temperature
    p_NK = np.exp(z_NK - z_NK.max(1, keepdims=True))
    p_NK /= p_NK.sum(1, keepdims=True)
    ordered = np.sort(p_NK, axis=1)
    surprise_NK = -p_NK * np.log(np.maximum(p_NK, 1e-300))
    return {
        "confidence": ordered[:, -1],
        "entropy": surprise_NK.sum(1) / np.log(p_NK.shape[1]),
        "margin": ordered[:, -1] - ordered[:, -2],
        "own": ordered[:, -1],
    }


@given(logits_NK=LOGITS, temperature=st.floats(0.25, 8))
def test_scores_are_what_their_names_say_and_lie_between_0_and_1(
    logits_NK: NDArray[np.float32], temperature: float
) -> None:
    found_NS = FusedScores(logits_NK.shape[1], temperature)(torch.from_numpy(logits_NK)).numpy()
    expected = defined(logits_NK, temperature)
    np.testing.assert_allclose(found_NS, np.stack([expected[name] for name in SCORES], 1), atol=1e-4)
    assert ((found_NS >= 0) & (found_NS <= 1)).all()


def test_a_branch_with_a_confidence_of_its_own_says_it() -> None:
    own_N = torch.tensor([0.25, 0.75])
    found_NS = FusedScores(3, 1.0, own=True)(torch.zeros(2, 3), own_N)
    assert torch.equal(found_NS[:, SCORES.index("own")], own_N)
    assert found_NS[:, SCORES.index("confidence")].tolist() == pytest.approx([1 / 3] * 2)


def test_equal_logits_are_pure_doubt() -> None:
    found_S = FusedScores(4, 1.0)(torch.zeros(1, 4))[0].tolist()
    assert dict(zip(SCORES, found_S, strict=True)) == pytest.approx(
        {"confidence": 0.25, "entropy": 1.0, "margin": 0.0, "own": 0.25}, abs=1e-6
    )


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_cannot_divide_is_refused(temperature: float) -> None:
    with pytest.raises(ModelError, match="must be a positive number"):
        FusedScores(3, temperature)


def test_one_class_is_refused() -> None:
    with pytest.raises(ModelError, match="at least two classes"):
        FusedScores(1, 1.0)
