"""Results to a stream of JSON lines, in a thread of its own: the pipeline never waits for a terminal or a disk."""

import contextlib
import json
import queue
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any

from offramp.records import Result
from offramp_device.report import Summary, result_line

WAITING = 4096
"""Results that may wait to be written. When whoever reads them has stopped reading, the device stops with him rather
than fill the memory."""


class ResultWriter:
    """Writes and counts; a context manager that has written everything when it ends."""

    def __init__(self, out: IO[str], labels: Sequence[str], *, logits: bool = False) -> None:
        self.summary = Summary()
        self.failure: OSError | None = None
        """Why writing stopped: a full disk, a reader who left."""
        self._out = out
        self._labels = labels
        self._logits = logits
        self._queue: queue.Queue[Result | Mapping[str, Any] | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="offramp-results", daemon=True)

    def __enter__(self) -> "ResultWriter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.put(None)
        self._thread.join()

    def put(self, result: Result) -> None:
        self._queue.put(result)

    def tell(self, event: Mapping[str, Any]) -> None:
        """A line between those of the results; left out when so many wait already that it would have to wait itself."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(event)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, Result):
                self.summary.add(item)
                line = result_line(item, self._labels, logits=self._logits)
            else:
                line = json.dumps(item, ensure_ascii=False)
            if self.failure is None:
                self._write(line)

    def _write(self, line: str) -> None:
        try:
            self._out.write(line + "\n")
            if self._queue.empty():
                self._out.flush()
        except OSError as error:
            self.failure = error
