"""Links of packets into a namespace, by TUN devices and by the kernel's token bucket. Root alone makes them."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from statistics import median

import pytest

from offramp.cli import INTERRUPTED
from offramp_evaluation.shaper.namespaces import PLACE, inside, why_not

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(why_not()), reason=why_not())]

NEAR, FAR = "10.83.0.1", "10.83.0.2"
NAME = f"offramp-{os.getpid()}"


class Link:
    """A running `offramp shape` into a namespace."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)

    def event(self, kind: str) -> dict[str, object]:
        assert self.process.stdout is not None
        event: dict[str, object] = json.loads(self.process.stdout.readline())
        assert event["event"] == kind
        return event

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """(an end inside, the end here)."""
        with socket.create_server((NEAR, 0)) as listening:
            with inside(NAME):
                there = socket.socket()
            there.settimeout(30)
            there.connect((NEAR, listening.getsockname()[1]))
            here, _ = listening.accept()
            here.settimeout(30)
        for end in (there, here):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return there, here


@contextlib.contextmanager
def a_link(by: str, spec: str) -> Iterator[Link]:
    command = [sys.executable, "-m", "offramp.cli", "shape", "--by", by, "--namespace", NAME, "--control"]
    command += ["--near", NEAR, "--far", FAR, "--link", spec]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            link = Link(process)
            link.event("ready")
            yield link
        finally:
            process.send_signal(signal.SIGTERM)


def receive(end: socket.socket, count: int) -> None:
    got = 0
    while got < count and (chunk := end.recv(min(65_536, count - got))):
        got += len(chunk)
    assert got == count


def round_trip(one: socket.socket, other: socket.socket) -> float:
    began = time.perf_counter()
    one.sendall(b"ping")
    receive(other, 4)
    other.sendall(b"pong")
    receive(one, 4)
    return time.perf_counter() - began


def test_packets_take_the_delay_both_ways_and_the_handshake_too() -> None:
    with a_link("tun", "20ms") as link:
        began = time.perf_counter()
        there, here = link.connect()
        shaken = time.perf_counter() - began
        with there, here:
            assert 0.0395 <= median(round_trip(there, here) for _ in range(9)) <= 0.2
    assert shaken >= 0.0395


@pytest.mark.parametrize("by", ["tun", "tc"])
def test_packets_are_no_faster_than_the_link(by: str) -> None:
    with a_link(by, "4mbit") as link:
        there, here = link.connect()
        with there, here:
            there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
            sending = threading.Thread(target=there.sendall, args=(bytes(400_000),))
            sending.start()
            receive(here, 100_000)
            began = time.perf_counter()
            receive(here, 300_000)
            took = time.perf_counter() - began
            sending.join()
    assert 8 * 300_000 / took <= 4e6


def test_a_fresh_connection_starts_slowly() -> None:
    """What a proxy hides: an initial window of ten packets, and then a round trip for each doubling."""
    with a_link("tun", "50mbit,30ms") as link:
        there, here = link.connect()
        with there, here:
            began = time.perf_counter()
            threading.Thread(target=there.sendall, args=(bytes(100_000),)).start()
            receive(here, 100_000)
            took = time.perf_counter() - began
    # 14, 29 and 58 KB: three flights; at the link's rate it would be 46 ms.
    assert took >= 0.030 + 2 * 0.060


@pytest.mark.parametrize("by", ["tun", "tc"])
def test_in_an_outage_nothing_arrives_and_tcp_brings_it_afterwards(by: str) -> None:
    with a_link(by, "10mbit") as link:
        there, here = link.connect()
        with there, here:
            round_trip(there, here)
            link.say("outage")
            link.event("link")
            there.sendall(b"held")
            here.settimeout(0.3)
            with pytest.raises(TimeoutError):
                here.recv(4)
            link.say("10mbit")
            link.event("link")
            here.settimeout(30)
            receive(here, 4)


@pytest.mark.parametrize("by", ["tun", "tc"])
def test_nothing_of_it_stays(by: str) -> None:
    with a_link(by, "10mbit") as link:
        assert (PLACE / NAME).exists()
        there, here = link.connect()
        with there, here:
            there.sendall(bytes(5_000))
            receive(here, 5_000)
        os.killpg(link.process.pid, signal.SIGINT)  # as Ctrl-C does
        stopped = link.event("stopped")
        assert link.process.wait(30) == INTERRUPTED
    assert int(str(stopped["up_bytes"])) > 5_000
    assert not (PLACE / NAME).exists()


def test_a_bucket_that_should_delay_is_refused_with_a_way_out() -> None:
    command = [sys.executable, "-m", "offramp.cli", "shape", "--by", "tc", "--link", "2mbit,20ms"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "shape packets in user space (tun)" in done.stderr) == (2, True)
