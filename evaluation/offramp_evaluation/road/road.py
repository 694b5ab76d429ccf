"""The two ends, the links between them and the orchestrator, as child processes.

device ══► shaper ══► edge ──────► orchestrator       the edge registers over a wire of its own
   └─────► shaper ═════════════════════┘              the devices' reports cross a link like that of their samples

Several devices share one such link, or have one each.
"""

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from offramp.clock import Clock
from offramp.plan import Plan
from offramp.units import Seconds
from offramp_evaluation.road.child import Child, Event, stop_all
from offramp_evaluation.shaper.command import PROXY
from offramp_evaluation.shaper.link import Link, Schedule

START = Seconds(60.0)
"""A child that is not ready by then never will be; it takes one to two seconds where it has a core to itself."""
LOOPBACK = "127.0.0.1"
ANY_PORT = f"{LOOPBACK}:0"
NEAR, FAR = "10.77.0.1", "10.77.0.{}"
"""Of links of packets; all of them lead to the one address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What the devices are like, and what is wanted of them."""

    bundle: Path
    slowdown: float
    threads: int
    profile: Path | None = None
    """Of the emulated board; None: it is not planned for."""
    edge_profile: Path | None = None
    objective: str = ""
    strategy: str | None = None
    """By which an orchestrator keeps devices without a plan on one; None: there is no orchestrator."""


class Road:
    """An edge behind shaped links, and maybe an orchestrator behind others; a context manager that ends all of them."""

    def __init__(self, board: Board, link: Link, clock: Clock, *, links: int = 1, by: str = PROXY) -> None:
        """`by` says what shapes, see `offramp shape`: with packets, devices run in a namespace for each link."""
        self._board, self._clock, self._first_link = board, clock, link
        self._links, self._by = links, by
        self.orchestrator: Child | None = None
        """Says what happens, in JSON lines."""
        self._all: list[Child] = []
        self._shapers: list[Child] = []
        self._addresses: list[str] = []
        """Where devices find the edge, by link; those of the orchestrator come after them."""

    def __enter__(self) -> "Road":
        try:
            self._start()
        except BaseException:
            stop_all(self._all)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop_all(self._all)

    def set_link(self, link: Link) -> None:
        """Another link, in force when this returns.

        Raises:
            OfframpError: A shaper or the edge has ended.
        """
        self.check()
        for shaper in self._shapers:
            shaper.say(str(link))
        for shaper in self._shapers:
            shaper.expect("link", START)

    def follow(self, schedule: Schedule, start: Seconds) -> None:
        """Let every link follow this schedule from a moment of the system's clock on.

        Raises:
            OfframpError: A shaper or the edge has ended.
        """
        self.check()
        for shaper in self._shapers:
            shaper.say(f"@{start!r} {schedule}")

    def check(self) -> None:
        """
        Raises:
            OfframpError: One of them has ended, which it should not have.
        """
        for child in self._all:
            child.check()

    @contextlib.contextmanager
    def devices(self, sources: Sequence["Source"], plan: Plan | None) -> Iterator[list["DeviceRun"]]:
        """A device for each source, all of them ready; device i sends through link i, or as many as there are.

        Those without a plan are told by the orchestrator. Each is ended when it is left, its last words unheard.

        Raises:
            OfframpError: One of them does not start.
        """
        children: list[Child] = []
        try:
            for place, source in enumerate(sources):
                link = place % self._links
                inside = None if self._by == PROXY else _namespace(link)
                arguments = self._arguments(source, plan, link)
                children.append(Child(source.name, arguments, self._clock, inside=inside))
            plans = [str(child.expect("ready", START)["plan"]) for child in children]
            yield [DeviceRun(child, plan) for child, plan in zip(children, plans, strict=True)]
        finally:
            stop_all(children)

    def _arguments(self, source: "Source", plan: Plan | None, link: int) -> list[str]:
        board = self._board
        arguments = ["device", "--bundle", str(board.bundle), "--edge", self._addresses[link], "--stream", source.name]
        arguments += [*source.flags, "--json", "--slowdown", str(board.slowdown), "--threads", str(board.threads)]
        if plan is not None:
            return [*arguments, "--plan", str(plan)]
        arguments += ["--orchestrator", self._addresses[self._links + link], "--name", source.name, "--telemetry"]
        return [*arguments, "--objective", board.objective, "--profile", str(board.profile)]

    def _start(self) -> None:
        board = self._board
        bundle = ["--bundle", str(board.bundle)]
        # The edge says where devices find it, which is a shaper's port; so its own has to be known before.
        here = LOOPBACK if self._by == PROXY else NEAR
        own = f"{here}:{_free_port()}"
        self._addresses = [self._shape(own, link) for link in range(self._links)]
        edge = ["edge", *bundle, "--listen", own, "--threads", str(board.threads)]
        if board.strategy is not None:
            decide = ["orchestrate", *bundle, "--listen", f"{here}:0", "--in-process", "--strategy", board.strategy]
            self.orchestrator, said = self._child("orchestrator", [*decide, "--events", "--telemetry"])
            # Links of packets carry what devices say to the orchestrator, too.
            self._addresses += [self._shape(said, link) if self._by == PROXY else said for link in range(self._links)]
            edge += ["--orchestrator", said, "--advertise", self._addresses[0], "--name", "edge"]
            edge += ["--profile", str(board.edge_profile)]
        self._child("edge", edge)

    def _shape(self, to: str, link: int) -> str:
        """Where devices of this link find what listens at `to`."""
        shape = ["shape", "--control", "--link", str(self._first_link)]
        if self._by == PROXY:
            shape += ["--listen", ANY_PORT, "--to", to]
        else:
            shape += ["--by", self._by, "--namespace", _namespace(link), "--near", NEAR, "--far", FAR.format(2 + link)]
        shaper, address = self._child("shaper", shape)
        self._shapers.append(shaper)
        return address if self._by == PROXY else to

    def _child(self, name: str, arguments: list[str]) -> tuple[Child, str]:
        """Start it; returns it, and where it listens."""
        child = Child(name, arguments, self._clock)
        self._all.append(child)
        return child, str(child.expect("ready", START)["listen"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a device of this name looks at."""

    name: str
    flags: Sequence[str]
    """As `offramp device` takes them: `--source` and what belongs to it."""


class DeviceRun:
    """A running device."""

    def __init__(self, child: Child, plan: str) -> None:
        self._child = child
        self.name = child.name
        self.plan = plan
        """That it begins with."""

    def cue(self, start: Seconds) -> None:
        """Of a device with `--cue`: the moment of the system's clock at which its first sample is due."""
        self._child.say(repr(start))

    def hear(self, timeout: Seconds) -> Iterator[Event]:
        """Every line that it has said, waiting for the first of them at most so long.

        Raises:
            OfframpError: The device has ended and every line of it was taken.
        """
        while (line := self._child.next(timeout)) is not None:
            yield line
            timeout = Seconds(0.0)


def _namespace(link: int) -> str:
    return f"offramp-{os.getpid()}-{link}"


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])
