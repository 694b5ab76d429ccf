"""Uplinks that new samples no longer take: each is closed when the flights on it have landed."""

import threading

from offramp.units import Seconds
from offramp_device.uplink import Uplink


class Farewell:
    """Closes uplinks a while after they were left. Safe from several threads."""

    def __init__(self, after: Seconds) -> None:
        """`after` is the deadline of the samples: past it, nothing can be on its way."""
        self._after = after
        self._lock = threading.Lock()
        self._leaving: dict[Uplink, threading.Timer] = {}

    def see_off(self, uplink: Uplink) -> None:
        timer = threading.Timer(self._after, self._end, [uplink])
        timer.daemon = True  # a program that never closes its device must still be able to end
        with self._lock:
            self._leaving[uplink] = timer
        timer.start()

    def close(self) -> None:
        """Close what is left at once; what is still away on it is answered on the device."""
        with self._lock:
            leaving, self._leaving = self._leaving, {}
        for uplink, timer in leaving.items():
            timer.cancel()
            uplink.close()

    def _end(self, uplink: Uplink) -> None:
        uplink.close()
        with self._lock:
            self._leaving.pop(uplink, None)
