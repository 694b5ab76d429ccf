import pytest

from offramp.errors import UnknownNameError
from offramp.measure.energy import RADIOS, EnergyModel


def test_energy_is_computing_plus_the_time_and_bits_on_air() -> None:
    model = EnergyModel(compute_w=3.0, radio=RADIOS["lte"])
    # A megabit in half a second (2 Mbit/s): the published power is 438.39 mW/Mbps x 2 + 1288.04 mW, for half a second.
    expected = 3.0 * 0.1 + (0.43839 * 2 + 1.28804) * 0.5
    assert model.joules(compute=0.1, up_bytes=125_000, up_seconds=0.5) == pytest.approx(expected)
    down = model.joules(compute=0.0, down_bytes=125_000, down_seconds=0.5)
    assert down == pytest.approx((0.05197 * 2 + 1.28804) * 0.5)


def test_energy_always_says_which_model_it_is() -> None:
    assert EnergyModel(compute_w=3.5, radio=RADIOS["wifi"]).label == (
        "modelled: 3.5 W computing, wifi radio (Huang et al., MobiSys 2012, table 4), radio tail and idling not counted"
    )
    with pytest.raises(UnknownNameError, match="did you mean 'wifi'"):
        RADIOS["wiffi"]
