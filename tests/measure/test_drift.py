"""Drift of a branch from the whole network: noticed, acted on, and forgiven."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from offramp.measure.drift import WINDOW, DriftEvent, DriftMonitor

BASE, STEPS = 5, 13


def stream(
    count: int, agreeing: float, *, seed: int, together: bool = False, strict: float = 0.5
) -> Iterator[tuple[int, bool]]:
    """(step reached, agrees); `together`: scenes of 10 to 20 samples err as one."""
    rng = random.Random(seed)
    said, left = True, 0
    for _ in range(count):
        if left == 0 or not together:
            said, left = rng.random() < agreeing, rng.randint(10, 20)
        left -= 1
        yield (STEPS - 1 if rng.random() < 0.5 else BASE), said


@dataclass
class Device:
    """Answers at a branch whoever reaches the caution in force; hears of the edge's answers a little later."""

    monitor: DriftMonitor
    answered: int = 0
    shadows: int = 0
    events: list[tuple[int, DriftEvent]] = field(default_factory=list)
    """(samples answered on the device until then, event)"""

    def see(self, samples: Iterator[tuple[int, bool]]) -> "Device":
        coming: list[tuple[int, bool, float]] = []
        for step, agrees in samples:
            if step >= (self.monitor.caution or BASE):
                self.answered += 1
                shadowed = self.monitor.left()
                if shadowed:
                    self.shadows += 1
                    coming.append((step, agrees, shadowed))
            else:
                coming.append((step, agrees, 0.0))
            if len(coming) > 2:
                event = self.monitor.note(*coming.pop(0))
                if event is not None:
                    self.events.append((self.answered, event))
        return self


def a_device(promise: float = 0.95) -> Device:
    return Device(DriftMonitor(promise=promise, base=BASE, steps=STEPS))


@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
@pytest.mark.parametrize("promise", [0.95, 0.97, 0.995])
def test_a_drop_below_70_percent_is_noticed_within_600_answers(promise: float, together: bool) -> None:
    late = 0
    for seed in range(20):
        device = a_device(promise).see(stream(300, promise, seed=seed, together=together))
        before = device.answered
        device.see(stream(1_000, 0.69, seed=100 + seed, together=together))
        alarms = [answered - before for answered, event in device.events if event.after > event.before]
        late += not (alarms and alarms[0] <= 600)
    assert late <= (2 if together else 0)


@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
@pytest.mark.parametrize("promise", [0.90, 0.95, 0.995])
def test_clean_samples_raise_hardly_an_alarm(promise: float, together: bool) -> None:
    device = a_device(promise)
    device.see(stream(20_000, promise, seed=4, together=together))
    assert sum(event.after > event.before for _, event in device.events) <= 1


def test_one_sample_in_twenty_is_shadowed_and_more_under_suspicion() -> None:
    calm = a_device(0.995).see(stream(10_000, 1.0, seed=1))
    assert calm.shadows == pytest.approx(500, abs=5)
    assert not calm.monitor.rate > 0.05
    for _ in range(3):
        calm.monitor.left()
        calm.monitor.note(BASE, False, 20.0)
    assert calm.monitor.rate == 0.5


def test_shadows_keep_no_time_with_a_periodic_stream() -> None:
    monitor = DriftMonitor(promise=0.95, base=BASE, steps=STEPS)
    drawn = [place % 20 for place in range(4_000) if monitor.left()]
    assert set(drawn) == set(range(20))


def test_an_alarm_raises_caution_to_where_the_promise_is_held() -> None:
    """Only what is just sure enough is wrong: the strictest step, known from offloaded samples, is right."""
    device = a_device()
    device.see((step, step > BASE) for step, _ in stream(3_000, 1.0, seed=3))
    assert device.events
    rises = [event for _, event in device.events if event.after > event.before]
    assert rises[0].before == BASE
    assert BASE < device.monitor.caution < STEPS


def test_when_no_step_holds_the_promise_nobody_leaves() -> None:
    device = a_device().see(stream(2_000, 0.5, seed=3))
    assert device.monitor.caution == STEPS


def test_caution_is_relaxed_step_by_step_by_what_was_offloaded_anyway() -> None:
    device = a_device().see(stream(1_000, 0.5, seed=3))
    assert device.monitor.caution == STEPS
    device.see(stream(3 * WINDOW, 0.97, seed=5))
    falls = [event for _, event in device.events if event.after < event.before]
    assert device.monitor.caution == 0
    assert [event.before - event.after for event in falls] == [1] * (STEPS - BASE)


def test_caution_stays_while_the_drop_lasts() -> None:
    device = a_device().see(stream(6_000, 0.8, seed=3))
    assert device.monitor.caution == STEPS


def test_a_caution_reached_before_is_kept_to_start_with() -> None:
    assert DriftMonitor(promise=0.95, base=BASE, steps=STEPS, caution=9).caution == 9
    assert DriftMonitor(promise=0.95, base=BASE, steps=STEPS, caution=3).caution == 0


def test_the_estimate_covers_the_truth_though_suspicion_draws_more_where_branches_disagree() -> None:
    missed = 0
    for seed in range(20):
        found = a_device(0.85).see(stream(4_000, 0.85, seed=seed)).monitor.estimate()
        assert found is not None
        missed += not found.low < 0.85 < found.high
    assert missed <= 4  # a tenth of them, on average


def test_a_shadow_stands_for_those_that_were_not_drawn() -> None:
    monitor = DriftMonitor(promise=0.8, base=BASE, steps=STEPS)
    for index in range(100):
        monitor.note(BASE, index % 5 != 0, 20.0)
        monitor.note(BASE, True, 0.0)
    found = monitor.estimate()
    assert found is not None
    assert found.value == pytest.approx(1 - 20 * 20 / 2_100)


def test_accuracy_loses_at_most_the_share_that_leaves_and_disagrees() -> None:
    """Every second sample leaves, every fifth of these disagrees."""
    monitor = DriftMonitor(promise=0.8, base=BASE, steps=STEPS, shadowed=1.0)
    for index in range(2_000):
        monitor.note(BASE, index % 5 != 0, monitor.left())
        monitor.note(0, True, 0.0)
    found = monitor.live_accuracy(0.93)
    assert found is not None
    assert found.value == pytest.approx(0.93 - 0.5 * 0.2, abs=0.002)
    assert found.low < found.value < found.high


def test_nothing_is_claimed_before_the_first_label() -> None:
    monitor = DriftMonitor(promise=0.95, base=BASE, steps=STEPS)
    assert monitor.estimate() is None
    assert monitor.live_accuracy(0.9) is None


@pytest.mark.parametrize("wrong", [{"promise": 0.0}, {"promise": 1.1}, {"shadowed": 0.0}, {"shadowed": 2.0}])
def test_shares_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="give numbers above 0, up to 1"):
        DriftMonitor(**{"promise": 0.9, "base": 0, "steps": 3} | wrong)  # type: ignore[arg-type]
