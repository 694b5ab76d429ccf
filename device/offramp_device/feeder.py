"""From a source into the intake, at the source's pace, at a stated rate, or as fast as the device can.

# a stated rate: sample i arrives at start + i / rate, whoever is busy then; its latency counts from there
# stated times: the same with the times that the source holds
"""

import threading
from collections.abc import Callable

import numpy as np

from offramp.clock import Clock
from offramp.errors import DataError
from offramp.records import Array, Sample
from offramp.units import Seconds
from offramp_device.intake import Intake
from offramp_device.sources import Drawn, Source
from offramp_device.worker import Worker

NOTHING: Array = np.empty(0)
"""The data of a sample that could not be read."""
NAP = Seconds(0.05)
"""The longest sleep, so that a slow rate can be stopped soon."""


class Feeder:
    """Feeds one stream; `run` is a thread's whole work."""

    def __init__(
        self,
        source: Source,
        worker: Worker,
        intake: Intake,
        clock: Clock,
        *,
        stream: str,
        rate: float | None = None,
        limit: int | None = None,
        cue: Callable[[], Seconds] | None = None,
    ) -> None:
        """`cue` waits until somebody says when the first sample is due; without one it is due once it is drawn."""
        self.fed = 0
        self.failure: Exception | None = None
        """What ended the source before its time."""
        self._source = source
        self._worker = worker
        self._intake = intake
        self._clock = clock
        self._stream = stream
        self._rate = rate
        self._limit = limit
        self._cue = clock.now if cue is None else cue
        self._stopped = threading.Event()

    def run(self) -> None:
        """Until the source ends, the limit is reached, or `stop`."""
        try:
            start = None
            for drawn in self._source.draw():
                start = self._cue() if start is None else start
                if not self._feed(drawn, self.fed, start):
                    return
                self.fed += 1
                if self.fed == self._limit:
                    return
            if not self.fed:
                raise DataError(f"{self._source.name} gave no sample at all; give a source that holds at least one")
        except Exception as error:
            self.failure = error

    def stop(self) -> None:
        self._stopped.set()

    def _feed(self, drawn: Drawn, index: int, start: Seconds) -> bool:
        due = self._due(drawn, index, start)
        while (left := due - self._clock.now()) > 0 and not self._stopped.is_set():
            self._clock.sleep(Seconds(min(left, NAP)))
        if self._stopped.is_set():
            return False
        if drawn.data is None:
            self._worker.refuse(self._sample(drawn, index, due), drawn.error)
        elif self._rate is not None or drawn.at is not None or self._source.live:
            self._worker.arrive(self._sample(drawn, index, due))
        else:
            return self._intake.put(lambda: self._sample(drawn, index, self._clock.now()))
        return True

    def _due(self, drawn: Drawn, index: int, start: Seconds) -> Seconds:
        if self._rate is not None:
            return Seconds(start + index / self._rate)
        return self._clock.now() if drawn.at is None else Seconds(start + drawn.at)

    def _sample(self, drawn: Drawn, index: int, arrival: Seconds) -> Sample:
        return Sample(
            stream=self._stream,
            index=index,
            data=NOTHING if drawn.data is None else drawn.data,
            arrival=arrival,
            truth=drawn.truth,
            name=drawn.name,
        )
