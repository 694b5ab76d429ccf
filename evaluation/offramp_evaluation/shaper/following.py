"""Whatever shapes a link lets it follow a schedule, or what somebody says: on the running event loop."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from offramp.units import Seconds
from offramp_evaluation.shaper.link import Link, Schedule, constant


class Following:
    """Which link is in force; opened with `start`, closed with `stop`."""

    def __init__(
        self, schedule: Schedule, change: Callable[[Link], None], check: Callable[[Schedule], None] = lambda _one: None
    ) -> None:
        """`change` brings a link into force, other than the one that is; `check` raises when one could not be.

        Raises:
            SettingsError: `check` says so.
        """
        check(schedule)
        self.link = schedule.at(Seconds(0.0))
        """In force now."""
        self.on_change: Callable[[Link], None] = lambda _link: None
        """Called whenever another link has come into force."""
        self._schedule, self._change, self._check = schedule, change, check
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.follow(self._schedule, Seconds(asyncio.get_running_loop().time()))

    async def stop(self) -> None:
        self._forget()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def set(self, link: Link) -> None:
        """Another link from now on, and the end of the schedule."""
        self._check(constant(link))
        self._forget()
        self._apply(link)

    def follow(self, schedule: Schedule, start: Seconds) -> None:
        """Another schedule, whose first step begins at `start` of the event loop's clock; until then all stays."""
        self._check(schedule)
        self._forget()
        self._task = asyncio.get_running_loop().create_task(self._follow(schedule, start))

    def _forget(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _apply(self, link: Link) -> None:
        self._change(link)
        self.link = link
        self.on_change(link)

    async def _follow(self, schedule: Schedule, began: Seconds) -> None:
        loop = asyncio.get_running_loop()
        for start, link in schedule.changes():
            await asyncio.sleep(began + start - loop.time())
            if link != self.link:
                self._apply(link)


class Line(Protocol):
    """Something that shapes a link while it is entered."""

    following: Following

    @property
    def place(self) -> str:
        """Where it is found: the address that it listens at, or that of its near end."""
        ...

    def counts(self) -> dict[str, int]:
        """What went through since the start: `up_bytes`, `down_bytes`, and what else it knows."""
        ...

    async def __aenter__(self) -> object: ...

    async def __aexit__(self, *_: object) -> None: ...
