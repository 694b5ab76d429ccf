"""A simulated device: the deployed worker and pipeline, fed by events instead of threads."""

from collections.abc import Callable

from offramp.records import Sample
from offramp_device.flight import Flight
from offramp_device.intake import Draw, Intake, Returned
from offramp_device.worker import Worker
from offramp_evaluation.replay.hub import Hub


class HubIntake(Intake):
    """What an intake is between threads, between events: arrivals that wait for nobody."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, window=1)
        self._wake: Callable[[], object] | None = None

    def offer(self, sample: Sample) -> bool:
        if len(self._offered) >= self.capacity:
            return False
        self._offered.append(sample)
        self._stir()
        return True

    def give_back(self, flight: Flight, reason: str) -> None:
        self._returned.append(Returned(flight, reason))
        self._stir()

    def departed(self) -> None: ...

    def landed(self) -> None: ...

    def take(self) -> Sample | Returned | Draw | None:
        """Of two that wait, the flight first: its time is shorter."""
        if self._returned:
            return self._returned.popleft()
        return self._offered.popleft() if self._offered else None

    def serve(self, hub: Hub, worker: Worker) -> None:
        """The worker's life: to be run with `hub.work`; it ends with the simulation."""
        wake = hub.waker()
        while True:
            item = self.take()
            if item is None:
                self._wake = wake
                hub.wait()
            else:
                worker.step(item)

    def _stir(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake()
