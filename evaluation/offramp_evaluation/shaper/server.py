"""A shaper as a process: signals, JSON lines on standard output, links from standard input."""

import asyncio
import json
import os
import selectors
import signal
import sys

from offramp.errors import InputError, SettingsError
from offramp.units import Seconds
from offramp_evaluation.shaper.following import Following, Line
from offramp_evaluation.shaper.link import Link, Schedule, parse_schedule

STDIN = 0
READ = 65_536
MAX_LINE = 8 << 20
"""Bytes: an hour in steps of 0.1 s takes 2 MB; no schedule is longer."""


def serve(line: Line, *, control: bool) -> bool:
    """Shape until a signal comes (or, with `control`, the input ends). Returns whether it was Ctrl-C.

    Raises:
        SettingsError: The line cannot be opened.
    """
    with asyncio.Runner(loop_factory=_precise_loop) as runner:
        return runner.run(_serve(line, control))


def _precise_loop() -> asyncio.AbstractEventLoop:
    # epoll takes milliseconds and Python rounds them up: 1 to 2 ms on each round trip. select takes microseconds.
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def _serve(line: Line, control: bool) -> bool:
    following = line.following
    following.on_change = lambda link: _say(line, "link", link)
    stopped: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    _stop_on_signals(stopped)
    async with line:
        if control:
            _Orders(following, stopped).open()
        _say(line, "ready", following.link)
        print(f"offramp shape: {line.place}: {following.link.describe()}", file=sys.stderr, flush=True)
        interrupted = await stopped
    _say(line, "stopped", following.link)
    return interrupted


def _say(line: Line, event: str, link: Link) -> None:
    told = {"event": event, "listen": line.place, "link": str(link), **line.counts()}
    print(json.dumps(told), flush=True)


def _stop_on_signals(stopped: asyncio.Future[bool]) -> None:
    def stop(interrupted: bool) -> None:
        if not stopped.done():
            stopped.set_result(interrupted)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop, True)
    loop.add_signal_handler(signal.SIGTERM, stop, False)


class _Orders:
    """Lines of standard input, as links or schedules; `@SECONDS` before one is the moment of the system's clock, which
    is the event loop's, too, at which it begins.
    """

    def __init__(self, following: Following, ended: asyncio.Future[bool]) -> None:
        self._following, self._ended = following, ended
        self._rest = b""

    def open(self) -> None:
        asyncio.get_running_loop().add_reader(STDIN, self._read)

    def _read(self) -> None:
        data = os.read(STDIN, READ)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in filter(None, map(bytes.strip, lines if data else [self._rest])):
            self._take(line.decode(errors="replace"))
        if not data or len(self._rest) > MAX_LINE:
            asyncio.get_running_loop().remove_reader(STDIN)
            if not self._ended.done():
                self._ended.set_result(False)

    def _take(self, line: str) -> None:
        try:
            start, schedule = _parse_order(line)
            if len(schedule.steps) == 1 and start is None:
                self._following.set(schedule.steps[0][1])
            else:
                now = Seconds(asyncio.get_running_loop().time())
                self._following.follow(schedule, now if start is None else start)
        except InputError as error:
            print(f"offramp shape: {error}; the link stays as it is", file=sys.stderr, flush=True)


def _parse_order(line: str) -> tuple[Seconds | None, Schedule]:
    """(when it begins, None: now; what)."""
    if not line.startswith("@"):
        return None, parse_schedule(line)
    moment, _, written = line[1:].partition(" ")
    try:
        start = Seconds(float(moment))
    except ValueError:
        raise SettingsError(f"@{moment[:40]} is no moment; write seconds of the monotonic clock") from None
    return start, parse_schedule(written)
