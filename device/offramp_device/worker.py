"""Takes samples through the pipeline and sees to it that each gets exactly one Result.

intake ── take ──► pipeline.start ──► Result ────────────────────────────────────► emit
             ▲            └──► Flight ── send ──► uplink ── deliver ──► Result ──► emit
             └───── give_back, when stages are needed ────┘
"""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from offramp.clock import Clock
from offramp.records import Answer, Answered, Result, Sample
from offramp.units import Seconds
from offramp_device.flight import Flight
from offramp_device.intake import Intake, Returned, Spare
from offramp_device.pipeline import Pipeline

log = logging.getLogger(__name__)

T = TypeVar("T")

STOPPING = "the device is stopping"

Emit = Callable[[Result], None]
"""Takes each Result once, from any thread; it must not block for long."""


class Worker:
    """`run` is a thread's whole work; `step` is one turn of it, for tests and replay."""

    def __init__(
        self,
        pipeline: Pipeline,
        intake: Intake,
        clock: Clock,
        emit: Emit,
        arrived: Callable[[Seconds], None] = lambda _arrival: None,
    ) -> None:
        """`arrived` hears when each sample that waits for nobody was due."""
        self.entered = 0
        """Samples that came in, each of which gets a Result."""
        self._pipeline = pipeline
        self._intake = intake
        self._clock = clock
        self._emit = emit
        self._arrived = arrived
        self._counting = threading.Lock()

    def arrive(self, sample: Sample) -> bool:
        """An arrival that waits for nobody; rejected, with False, when the queue is full."""
        self._count()
        self._arrived(sample.arrival)
        if self._intake.offer(sample):
            return True
        full = f"the source queue is full ({self._intake.capacity} samples)"
        self._reject(sample, STOPPING if self._intake.finished else full)
        return False

    def refuse(self, sample: Sample, reason: str) -> None:
        """A sample that could not even be read: it came in, and this is its Result."""
        self._count()
        self._reject(sample, reason)

    def run(self) -> None:
        """Work until the intake has nothing more to come."""
        while (item := self._intake.take()) is not None:
            self.step(item)

    def step(self, item: Sample | Returned | Spare | Callable[[], Sample]) -> None:
        if isinstance(item, Spare):
            self._spend(item)
            return
        if isinstance(item, Returned):
            self._emit(self._safely(item.flight.sample, lambda: self._pipeline.degrade(item.flight, item.reason)))
            self._intake.landed()
            return
        if isinstance(item, Sample):
            sample = item
        else:
            sample = item()
            self._count()
        outcome = self._safely(sample, lambda: self._pipeline.start(sample))
        if isinstance(outcome, Flight):
            flight = outcome
            self._intake.departed()
            refused = self._safely(sample, lambda: self._pipeline.send(flight, self._deliver))
            if refused is None:
                return
            self._intake.landed()
            outcome = refused
        self._emit(outcome)

    def stop(self) -> None:
        """Take nothing more in; what waits for its first stage is rejected, what is under way gets its Result."""
        for sample in self._intake.close():
            self._reject(sample, STOPPING)

    def _deliver(self, flight: Flight, outcome: Answer | str) -> None:
        """From the uplink's thread: stages are left to the thread that runs `run`."""
        if isinstance(outcome, str) and self._pipeline.needs_stages(flight):
            self._intake.give_back(flight, outcome)
            return
        self._emit(self._safely(flight.sample, lambda: self._pipeline.land(flight, outcome)))
        self._intake.landed()

    def _safely(self, sample: Sample, work: Callable[[], T]) -> T | Result:
        """One sample that breaks something is a rejected sample, not the end of the device."""
        try:
            return work()
        except Exception as error:
            log.exception("sample %s/%d failed", sample.stream, sample.index)
            return self._rejected(sample, f"it failed: {type(error).__name__}: {error}")

    def _spend(self, spare: Spare) -> None:
        try:
            spare.work()
        except Exception:  # nobody waits for it
            log.exception("spare work failed")

    def _count(self) -> None:
        with self._counting:  # arrivals come from several threads
            self.entered += 1

    def _reject(self, sample: Sample, reason: str) -> None:
        self._emit(self._rejected(sample, reason))

    def _rejected(self, sample: Sample, reason: str) -> Result:
        return Result(
            stream=sample.stream,
            index=sample.index,
            answered=Answered.REJECTED,
            revision=self._pipeline.route.plan.revision,
            latency=Seconds(max(self._clock.now() - sample.arrival, 0.0)),
            reason=reason,
            truth=sample.truth,
            name=sample.name,
        )
