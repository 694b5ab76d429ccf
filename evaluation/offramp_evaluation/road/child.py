"""Commands of Offramp as child processes that speak JSON lines."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import IO, Any

from offramp.clock import Clock
from offramp.errors import OfframpError
from offramp.units import Seconds
from offramp_evaluation.road.launch import command_line

Event = Mapping[str, Any]

KEPT = 30
"""Last lines of standard error that are shown when a child dies."""
GRACE = 5.0
"""Seconds between the request to stop and the kill."""


class Child:
    """A running `offramp …`; a context manager that ends it."""

    def __init__(self, name: str, arguments: list[str], clock: Clock, *, inside: str | None = None) -> None:
        """`inside`: the network namespace that it runs in."""
        self.name = name
        self._clock = clock
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._errors: deque[str] = deque(maxlen=KEPT)
        # A session of its own: Ctrl-C reaches whoever started it alone, who then ends its children in order.
        self._process = subprocess.Popen(
            [*(["ip", "netns", "exec", inside] if inside else []), *command_line(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read_events, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_errors, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def next(self, timeout: Seconds) -> Event | None:
        """The next line of standard output; None when none comes in time.

        Raises:
            OfframpError: The child has ended and every line of it was taken.
        """
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if event is None:
            self._events.put(None)
            raise self.death()
        return event

    def expect(self, kind: str, timeout: Seconds) -> Event:
        """The next line `{"event": kind, …}`; others before it are dropped.

        Raises:
            OfframpError: It did not come in time, or the child has ended.
        """
        end = self._clock.now() + timeout
        while (left := end - self._clock.now()) > 0:
            event = self.next(Seconds(left))
            if event is not None and event.get("event") == kind:
                return event
        raise OfframpError(f"the {self.name} said no {kind!r} within {timeout:g} s{self._last_words()}")

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self.death() from None

    def check(self) -> None:
        """
        Raises:
            OfframpError: The child has ended, which it should not have.
        """
        if self.has_ended:
            raise self.death()

    def death(self) -> OfframpError:
        """How it ended, with its last words."""
        code = self._process.wait()
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return OfframpError(f"the {self.name} ended in the middle ({how}){self._last_words()}")

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self.ask()
        self.await_end()

    def ask(self) -> None:
        """Tell it to end, and do not wait."""
        if not self.has_ended:
            self._process.terminate()

    def await_end(self) -> None:
        """Until it has ended; a child that does not, though it was asked to, is killed."""
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
        for reader in self._readers:
            reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                _close(stream)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read_events(self, stream: IO[str]) -> None:
        for line in stream:
            if line.startswith("{"):
                self._events.put(json.loads(line))
        self._events.put(None)

    def _read_errors(self, stream: IO[str]) -> None:
        for line in stream:
            self._errors.append(line.rstrip())

    def _last_words(self) -> str:
        return "; its last words:\n" + "\n".join(f"  | {line}" for line in self._errors) if self._errors else ""


def stop_all(children: Sequence[Child]) -> None:
    """End them, the youngest first; all are asked before any is waited for."""
    for child in reversed(children):
        child.ask()
    try:
        for child in reversed(children):
            child.await_end()
    except BaseException:  # whoever asks twice means it
        for child in children:
            child.kill()
        raise


def _close(stream: IO[str]) -> None:
    with contextlib.suppress(BrokenPipeError):  # it ended with something unread in its standard input
        stream.close()
