"""Our risk control against MAPIE's, an implementation by others of the same papers."""

import numpy as np
import pytest

from offramp.exits.bounds import Floats, betting_upper, hoeffding_bentkus
from offramp.exits.risk import corrected_risk, p_values

methods = pytest.importorskip("mapie.risk_control.methods", reason="MAPIE is not installed")

UNITS, STEPS, LIMIT, DELTA = 400, 12, 0.1, 0.05


def losses(kind: str, seed: int = 0) -> Floats:
    """[UNITS, STEPS], means rising from 0.01 to 0.2."""
    rng = np.random.default_rng(seed)
    mean_T = np.linspace(0.01, 0.2, STEPS)
    if kind == "binary":
        return (rng.random((UNITS, 1)) < mean_T).astype(np.float64)
    return np.clip(rng.beta(1, 1 / mean_T - 1, (UNITS, STEPS)), 0, 1)


def test_p_values_by_hoeffding_and_bentkus_are_the_same() -> None:
    mean_T = losses("shares").mean(axis=0)
    theirs = methods.compute_hoeffding_bentkus_p_value(mean_T, UNITS, LIMIT)[:, 0]
    assert hoeffding_bentkus(mean_T, UNITS, LIMIT) == pytest.approx(np.minimum(theirs, 1.0), rel=1e-6)


def test_of_zeros_and_ones_our_p_values_are_exact_and_theirs_no_smaller() -> None:
    losses_MT = losses("binary")
    theirs = methods.compute_hoeffding_bentkus_p_value(losses_MT.mean(axis=0), UNITS, LIMIT, binary=True)[:, 0]
    ours = p_values(losses_MT, LIMIT)
    below_T = losses_MT.mean(axis=0) < LIMIT  # where there is something to reject; above, theirs falls again
    assert (ours[below_T] <= theirs[below_T] + 1e-9).all()
    assert ours[below_T] == pytest.approx(theirs[below_T], rel=1e-6)


def test_the_corrected_risk_is_the_same_where_risks_rise() -> None:
    losses_MT = np.sort(losses("shares"), axis=1)
    _, theirs = methods.get_r_hat_plus(losses_MT, np.linspace(0, 1, STEPS), "crc", None, None, None)
    assert corrected_risk(losses_MT) == pytest.approx(theirs)


@pytest.mark.parametrize("kind", ["binary", "shares"])
def test_our_bound_by_betting_is_never_the_bolder_one(kind: str) -> None:
    """Theirs adds the best of the bet's two halves, which is more than it ever had at once where it fell in between."""
    losses_MT, step = losses(kind)[:, :1], 1 / 200
    # Theirs looks for the bound on the grid of thresholds, one column for each.
    grid = np.linspace(0, 1, 201)
    wide = np.repeat(losses_MT, len(grid), axis=1)
    _, theirs = methods.get_r_hat_plus(wide, grid, "rcps", "wsr", DELTA, 0.25)
    bolder = betting_upper(losses_MT, DELTA)[0] - theirs[0]
    assert -step <= bolder < 3 * step
