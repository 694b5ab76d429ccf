"""A shaper as a process: signals, JSON lines on standard output, links from standard input."""

import asyncio
import json
import os
import selectors
import signal
import sys
from dataclasses import asdict

from offramp.errors import InputError, SettingsError
from offramp.units import Seconds
from offramp.wire.address import Address
from offramp_evaluation.shaper.link import Link, Schedule, parse_schedule
from offramp_evaluation.shaper.proxy import Shaper

STDIN = 0
READ = 65_536
MAX_LINE = 8 << 20
"""Bytes: an hour in steps of 0.1 s takes 2 MB; no schedule is longer."""


def serve(listen: Address, to: Address, schedule: Schedule, *, control: bool) -> bool:
    """Shape until a signal comes (or, with `control`, the input ends). Returns whether it was Ctrl-C.

    Raises:
        SettingsError: The address cannot be listened at.
    """
    with asyncio.Runner(loop_factory=_precise_loop) as runner:
        return runner.run(_serve(listen, to, schedule, control))


def _precise_loop() -> asyncio.AbstractEventLoop:
    # epoll takes milliseconds and Python rounds them up: 1 to 2 ms on each round trip. select takes microseconds.
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def _serve(listen: Address, to: Address, schedule: Schedule, control: bool) -> bool:
    shaper = Shaper(listen, to, schedule)
    shaper.on_change = lambda link: _say(shaper, "link", link)
    stopped: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    _stop_on_signals(stopped)
    async with shaper:
        if control:
            _LinkLines(shaper, stopped).open()
        _say(shaper, "ready", shaper.link)
        print(f"offramp shape: {shaper.address} to {to}: {shaper.link.describe()}", file=sys.stderr, flush=True)
        interrupted = await stopped
    _say(shaper, "stopped", shaper.link)
    return interrupted


def _say(shaper: Shaper, event: str, link: Link) -> None:
    line = {"event": event, "listen": str(shaper.address), "link": str(link), **asdict(shaper.traffic)}
    print(json.dumps(line), flush=True)


def _stop_on_signals(stopped: asyncio.Future[bool]) -> None:
    def stop(interrupted: bool) -> None:
        if not stopped.done():
            stopped.set_result(interrupted)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop, True)
    loop.add_signal_handler(signal.SIGTERM, stop, False)


class _LinkLines:
    """Lines of standard input, as links or schedules; `@SECONDS` before one is the moment of the system's clock, which
    is the event loop's, too, at which it begins.
    """

    def __init__(self, shaper: Shaper, ended: asyncio.Future[bool]) -> None:
        self._shaper, self._ended = shaper, ended
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
                self._shaper.set(schedule.steps[0][1])
            else:
                now = Seconds(asyncio.get_running_loop().time())
                self._shaper.follow(schedule, now if start is None else start)
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
