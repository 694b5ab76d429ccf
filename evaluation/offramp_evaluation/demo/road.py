"""The two ends and the link between them, as child processes."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import grpc

from offramp.clock import Clock
from offramp.errors import OfframpError
from offramp.plan import Plan
from offramp.records import Revision
from offramp.units import Seconds
from offramp.wire.address import parse_address
from offramp.wire.channels import open_channel
from offramp.wire.v1 import local_pb2, local_pb2_grpc
from offramp_evaluation.demo.children import Child
from offramp_evaluation.demo.script import Script
from offramp_evaluation.demo.tally import Outcome, read_outcome
from offramp_evaluation.shaper.link import Link

START = Seconds(30.0)
"""A child that is not ready by then never will be; it takes one to two seconds."""
ADOPT = Seconds(5.0)
"""A plan is opened and warmed within half a second."""
ANY_PORT = "127.0.0.1:0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What the device of the demo is like, and what it looks at."""

    bundle: Path
    source: str
    slowdown: float
    threads: int


class Road:
    """An edge behind a shaped link; a context manager that ends both."""

    def __init__(self, board: Board, link: Link, clock: Clock) -> None:
        self._board, self._clock = board, clock
        self._first_link = link

    def __enter__(self) -> "Road":
        bundle, threads = str(self._board.bundle), str(self._board.threads)
        self._edge = Child(
            "edge", ["edge", "--bundle", bundle, "--listen", ANY_PORT, "--threads", threads], self._clock
        )
        try:
            to = self._edge.expect("ready", START)["listen"]
            shape = ["shape", "--control", "--listen", ANY_PORT, "--to", to, "--link", str(self._first_link)]
            self._shaper = Child("shaper", shape, self._clock)
        except BaseException:
            self._edge.stop()
            raise
        try:
            self._address = self._shaper.expect("ready", START)["listen"]
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shaper.stop()
        self._edge.stop()

    def set_link(self, link: Link) -> None:
        """Another link, in force when this returns.

        Raises:
            OfframpError: The shaper or the edge has ended.
        """
        self._edge.check()
        self._shaper.say(str(link))
        self._shaper.expect("link", START)

    def check(self) -> None:
        """
        Raises:
            OfframpError: The shaper or the edge has ended, which it should not have.
        """
        self._edge.check()
        self._shaper.check()

    def device(self, plan: Plan, script: Script) -> "DeviceRun":
        """A device that sends through the link, about to take its first frame."""
        board = self._board
        arguments = ["device", "--bundle", str(board.bundle), "--edge", self._address, "--source", board.source]
        arguments += ["--plan", str(plan), "--rate", str(script.rate), "--limit", str(script.frames)]
        arguments += ["--slowdown", str(board.slowdown), "--threads", str(board.threads), "--local", ANY_PORT, "--json"]
        return DeviceRun(Child("device", arguments, self._clock))


class DeviceRun:
    """A running device; a context manager that ends it."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def __enter__(self) -> "DeviceRun":
        try:
            address = parse_address(self._child.expect("ready", START)["local"])
        except BaseException:
            self._child.stop()
            raise
        self._channel = open_channel(address)
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self._child.stop()

    def next(self, timeout: Seconds) -> Outcome | None:
        """The next result; None when none comes in time.

        Raises:
            OfframpError: The device has ended and every result of it was taken.
        """
        line = self._child.next(timeout)
        return read_outcome(line) if line is not None and "answered" in line else None

    def adopt(self, plan: Plan, revision: Revision) -> None:
        """Another plan, in force when this returns.

        Raises:
            OfframpError: The device refused it, or is gone.
        """
        asked = local_pb2.AdoptRequest(plan=str(plan), epoch=revision.epoch, counter=revision.counter)
        try:
            stub = local_pb2_grpc.LocalStub(self._channel)  # type: ignore[no-untyped-call]
            stub.Adopt(asked, timeout=ADOPT)
        except grpc.RpcError as error:
            self._child.check()
            raise OfframpError(f"the device did not adopt {plan}: {error.details()}") from error
