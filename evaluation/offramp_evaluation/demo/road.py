"""The two ends, the link between them and the orchestrator, as child processes.

device ══► shaper ══► edge ──────► orchestrator       the edge registers over a wire of its own
   └─────► shaper ═════════════════════┘              the device's reports cross a link like that of its samples
"""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from offramp.clock import Clock
from offramp.units import Seconds
from offramp_evaluation.demo.children import Child
from offramp_evaluation.demo.contenders import Contender
from offramp_evaluation.demo.news import News, read_news
from offramp_evaluation.demo.script import Script
from offramp_evaluation.demo.tally import Outcome, read_outcome
from offramp_evaluation.shaper.link import Link

START = Seconds(30.0)
"""A child that is not ready by then never will be; it takes one to two seconds."""
LOOPBACK = "127.0.0.1"
ANY_PORT = f"{LOOPBACK}:0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What the device of the demo is like, what it looks at, and what is wanted of it."""

    bundle: Path
    source: str
    slowdown: float
    threads: int
    profile: Path | None = None
    """Of the emulated board; None: it is not planned for."""
    edge_profile: Path | None = None
    objective: str = ""
    strategy: str = "steady:search"


class Road:
    """An edge behind a shaped link, and an orchestrator behind another; a context manager that ends all of them."""

    def __init__(self, board: Board, link: Link, clock: Clock, *, orchestrated: bool = True) -> None:
        self._board, self._clock, self._first_link = board, clock, link
        self._orchestrated = orchestrated
        self.orchestrator: Child | None = None
        """Says what happens, in JSON lines."""
        self._children = contextlib.ExitStack()
        self._all: list[Child] = []
        self._shapers: list[Child] = []

    def __enter__(self) -> "Road":
        with contextlib.ExitStack() as opened:
            self._start(opened)
            self._children = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._children.close()

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

    def check(self) -> None:
        """
        Raises:
            OfframpError: One of them has ended, which it should not have.
        """
        for child in self._all:
            child.check()

    def device(self, contender: Contender, script: Script) -> "DeviceRun":
        """A device that sends through the link, about to take its first frame."""
        board = self._board
        arguments = ["device", "--bundle", str(board.bundle), "--edge", self._address, "--source", board.source]
        arguments += ["--rate", str(script.rate), "--limit", str(script.frames), "--json"]
        arguments += ["--slowdown", str(board.slowdown), "--threads", str(board.threads)]
        if contender.plan is not None:
            arguments += ["--plan", str(contender.plan)]
        else:
            arguments += ["--orchestrator", self._control, "--name", "board", "--telemetry"]
            arguments += ["--objective", board.objective, "--profile", str(board.profile)]
        return DeviceRun(Child("device", arguments, self._clock))

    def _start(self, opened: contextlib.ExitStack) -> None:
        bundle = ["--bundle", str(self._board.bundle)]
        # The edge says where devices find it, which is the shaper's port; so its own has to be known before.
        own = f"{LOOPBACK}:{_free_port()}"
        self._address = self._shape(opened, own)
        edge = ["edge", *bundle, "--listen", own, "--threads", str(self._board.threads)]
        if self._orchestrated:
            decide = ["orchestrate", *bundle, "--listen", ANY_PORT, "--in-process", "--strategy", self._board.strategy]
            said = self._child(opened, "orchestrator", [*decide, "--events", "--telemetry"])
            self.orchestrator = self._all[-1]
            self._control = self._shape(opened, said)
            edge += ["--orchestrator", said, "--advertise", self._address, "--name", "edge"]
            edge += ["--profile", str(self._board.edge_profile)]
        self._child(opened, "edge", edge)

    def _shape(self, opened: contextlib.ExitStack, to: str) -> str:
        shape = ["shape", "--control", "--listen", ANY_PORT, "--to", to, "--link", str(self._first_link)]
        address = self._child(opened, "shaper", shape)
        self._shapers.append(self._all[-1])
        return address

    def _child(self, opened: contextlib.ExitStack, name: str, arguments: list[str]) -> str:
        """Start it; returns where it listens."""
        child = opened.enter_context(Child(name, arguments, self._clock))
        self._all.append(child)
        return str(child.expect("ready", START)["listen"])


class DeviceRun:
    """A running device; a context manager that ends it."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def __enter__(self) -> "DeviceRun":
        try:
            self._child.expect("ready", START)
        except BaseException:
            self._child.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    def hear(self, timeout: Seconds) -> Iterator[Outcome | News]:
        """What it has said, waiting for the first word at most so long.

        Raises:
            OfframpError: The device has ended and every result of it was taken.
        """
        while (line := self._child.next(timeout)) is not None:
            if "index" in line:
                yield read_outcome(line)
            elif (news := read_news(line)) is not None:
                yield news
            timeout = Seconds(0.0)


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])
