"""Which frame belongs to which phase."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import SettingsError
from offramp.units import Seconds
from offramp_evaluation.demo.script import Script


def test_the_link_narrows_breaks_and_comes_back() -> None:
    links = [phase.link for phase in Script(seconds=Seconds(1.0), rate=10.0).phases]
    assert [link.up for link in links] == [20e6, 2e6, 0.5e6, 0.0, 20e6]
    assert [link.is_out for link in links] == [False, False, False, True, False]


@given(st.floats(1.0, 30.0), st.floats(2.0, 60.0))
def test_every_frame_has_a_phase_in_order_and_no_phase_is_empty(seconds: float, rate: float) -> None:
    script = Script(seconds=Seconds(seconds), rate=rate)
    phases = [script.phase_of(frame) for frame in range(script.frames)]
    assert phases == sorted(phases)
    assert set(phases) == set(range(len(script.phases)))


def test_a_phase_begins_with_the_frame_that_is_due_then() -> None:
    script = Script(seconds=Seconds(2.0), rate=10.0)
    assert [script.phase_of(frame) for frame in (0, 19, 20, 99)] == [0, 0, 1, 4]


def test_a_run_that_is_too_short_for_its_phases_is_refused() -> None:
    with pytest.raises(SettingsError, match="give more of either"):
        Script(seconds=Seconds(0.01), rate=10.0)
