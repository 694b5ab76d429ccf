"""The pace of a source: a schedule that waits for nobody, or as fast as the device can."""

from collections.abc import Iterator

import numpy as np
import pytest

from offramp.clock import ManualClock
from offramp.errors import DataError
from offramp.records import Result
from offramp.units import Seconds
from offramp_device.feeder import Feeder
from offramp_device.intake import Intake
from offramp_device.sources import Drawn, Source
from offramp_device.uplink import LostUplink
from offramp_device.worker import Worker
from tests.device.fakes import a_pipeline

GOOD = Drawn(np.zeros((16, 16, 3), np.uint8))
BAD = Drawn(None, error="it cannot be read", name="bad.png")


class Feeding:
    """A feeder, and the intake that it fills."""

    def __init__(self, items: list[Drawn], *, capacity: int = 8, live: bool = False, **named: object) -> None:
        self.clock = ManualClock(Seconds(10.0))
        self.results: list[Result] = []
        self.intake = Intake(capacity, 4)
        pipeline = a_pipeline("split=end", LostUplink(), self.clock)
        worker = Worker(pipeline, self.intake, self.clock, self.results.append)
        source = Source("a test", lambda: iter(items), live)
        self.feeder = Feeder(source, worker, self.intake, self.clock, stream="test", **named)  # type: ignore[arg-type]

    def arrivals(self) -> list[float]:
        return [sample.arrival for sample in self.intake._offered]


def test_samples_of_a_rate_arrive_on_schedule() -> None:
    feeding = Feeding([GOOD] * 4, rate=10.0)
    feeding.feeder.run()
    assert feeding.arrivals() == pytest.approx([10.0, 10.1, 10.2, 10.3])


def test_a_source_that_is_slower_than_its_rate_does_not_move_the_schedule() -> None:
    """No coordinated omission: a late frame was due when it was due."""
    feeding = Feeding([], rate=10.0)

    def slow() -> Iterator[Drawn]:
        for _ in range(3):
            feeding.clock.advance(Seconds(0.25))
            yield GOOD

    object.__setattr__(feeding.feeder._source, "draw", slow)
    feeding.feeder.run()
    assert feeding.arrivals() == pytest.approx([10.25, 10.35, 10.45])
    assert feeding.clock.now() == pytest.approx(10.75)


def test_a_rate_never_waits_for_the_device() -> None:
    feeding = Feeding([GOOD] * 5, rate=10.0, capacity=2)
    feeding.feeder.run()
    assert [(result.index, result.reason) for result in feeding.results] == [
        (index, "the source queue is full (2 samples)") for index in (2, 3, 4)
    ]


def test_a_live_source_never_waits_for_the_device() -> None:
    feeding = Feeding([GOOD] * 3, live=True, capacity=1)
    feeding.feeder.run()
    assert [result.index for result in feeding.results] == [1, 2]


def test_without_a_rate_a_sample_arrives_when_it_is_taken() -> None:
    feeding = Feeding([GOOD])
    feeding.feeder.run()
    feeding.clock.advance(Seconds(5.0))
    draw = feeding.intake.take()
    assert callable(draw)
    assert draw().arrival == 15.0


def test_what_cannot_be_read_is_rejected_and_the_stream_goes_on() -> None:
    feeding = Feeding([GOOD, BAD, GOOD], rate=10.0)
    feeding.feeder.run()
    assert [(result.index, result.name, result.reason) for result in feeding.results] == [
        (1, "bad.png", "it cannot be read")
    ]
    assert [sample.index for sample in feeding.intake._offered] == [0, 2]


def test_a_limit_ends_it() -> None:
    feeding = Feeding([GOOD] * 9, rate=10.0, limit=2)
    feeding.feeder.run()
    assert (feeding.feeder.fed, len(feeding.intake._offered)) == (2, 2)


def test_a_source_without_samples_is_an_error() -> None:
    feeding = Feeding([])
    feeding.feeder.run()
    assert isinstance(feeding.feeder.failure, DataError)
    assert "gave no sample at all" in str(feeding.feeder.failure)


def test_a_source_that_fails_in_the_middle_is_remembered() -> None:
    feeding = Feeding([])

    def broken() -> Iterator[Drawn]:
        yield GOOD
        raise DataError("the disk was unplugged")

    object.__setattr__(feeding.feeder._source, "draw", broken)
    feeding.feeder.run()
    assert (feeding.feeder.fed, str(feeding.feeder.failure)) == (1, "the disk was unplugged")


def test_a_stopped_feeder_feeds_no_more() -> None:
    feeding = Feeding([GOOD] * 3, rate=10.0)
    feeding.feeder.stop()
    feeding.feeder.run()
    assert feeding.feeder.fed == 0


def test_samples_that_say_when_they_arrive_arrive_then() -> None:
    feeding = Feeding([Drawn(GOOD.data, at=Seconds(at)) for at in (0.5, 0.75, 0.75)])
    feeding.feeder.run()
    assert feeding.arrivals() == pytest.approx([10.5, 10.75, 10.75])


def test_the_first_sample_is_due_at_the_cue() -> None:
    feeding = Feeding([GOOD] * 2, rate=10.0, cue=lambda: Seconds(12.0))
    feeding.feeder.run()
    assert feeding.arrivals() == pytest.approx([12.0, 12.1])
