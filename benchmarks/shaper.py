"""Is an emulated link what it says? Its rate, its length, how it follows a trace, and what each way of shaping shows.

    sender ─► offramp shape ─► receiver        real processes and sockets; the clock is the receiver's

proxy   rates from 0.25 to 100 Mbit/s, round trips, a Mahimahi trace second by second
tc      the kernel's token bucket, over the same bytes: the cross-check                 (as root)
tun     packets in user space, TCP from end to end: slow start, which a proxy hides     (as root)

Everything is repeated, and medians are claimed: a machine with other work to do stalls now and then.
"""

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.harness import CORES, Claim, a_parser, machine, pin, report
from benchmarks.processes import environment
from offramp.errors import SettingsError
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.shaper.kernel import FRAME, PAYLOAD
from offramp_evaluation.shaper.link import parse_schedule
from offramp_evaluation.shaper.namespaces import inside, why_not
from offramp_evaluation.traces import generate
from offramp_evaluation.traces.formats import read_trace
from offramp_evaluation.traces.integral import Integral
from offramp_evaluation.traces.steps import to_link_steps
from offramp_evaluation.traces.trace import Floats, Trace

RATES = (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100)
"""Mbit/s."""
DELAYS = (0, 5, 20, 60)
"""Milliseconds, one way."""
LASTING, FOLLOWED = 2.0, 20
"""Seconds: of a transfer, and of a trace."""
REPEATS = 5
LEAST = 20_000
"""Bytes that a second of a trace must carry, for a share of them to say something: 14 packets."""
BURST = 150_000
"""Bytes on a fresh connection, of which slow start makes several round trips: an initial window holds 14,480."""
CHECKED = (2, 20)
"""Mbit/s of the cross-check."""
STEEP = "20mbit,40ms"
IP_PACKET = 1_500
NEAR, FAR = "10.79.0.1", "10.79.0.2"
READ = 65_536
LEAST_SENT, AHEAD = 8_192, Seconds(0.007)
"""Bytes, or what passes in this time, that a sender may have on its way through a token bucket: more overflows its
queue, less leaves it empty."""

Connect = Callable[[], tuple[socket.socket, socket.socket]]
"""A fresh connection through the link: (sender, receiver)."""


def main() -> int:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument("--trace", type=Path, metavar="FILE", help="Mahimahi's, say (default: one that is generated)")
    parser.add_argument("--repeats", type=int, help=f"of each measurement (default: {REPEATS})")
    arguments = parser.parse_args()
    if arguments.pin:
        pin(CORES[-1])
    trace = a_trace(arguments)  # before anything is measured: it may not be there
    repeats = arguments.repeats or (1 if arguments.quick else REPEATS)
    claims, details = list[Claim](), dict[str, object]({"load": machine()["load"], "repeats": repeats})
    claims += rates(repeats, details)
    claims += round_trips(repeats, details)
    claims += following(trace, repeats, details)
    if reason := why_not():
        details["tc and tun"] = reason
        print(f"  left out, tc and tun: {reason}", file=sys.stderr)
    else:
        claims += cross_check(repeats, details)
        claims += slow_start(repeats, details)
    return report("shaper", claims, details, arguments)


# What is measured.


def rates(repeats: int, details: dict[str, object]) -> Iterator[Claim]:
    for mbit in RATES:
        found = []
        for _ in range(repeats):
            with through_proxy(f"{mbit}mbit") as connect:
                found.append(rate_of(transfer(connect, round(mbit * 1e6 / 8 * LASTING))) / 1e6)
        details[f"rate, {mbit} Mbit/s"] = found
        off = abs(median(found) / mbit - 1)
        limit = 0.03 if mbit >= 100 else 0.02
        detail = f"median {median(found):.4g}, {min(found):.4g} to {max(found):.4g} Mbit/s"
        yield Claim(name=f"proxy, {mbit} Mbit/s: off by", found=off, limit=limit, unit="", detail=detail)


def round_trips(repeats: int, details: dict[str, object]) -> Iterator[Claim]:
    for delay in DELAYS:
        found = []
        for _ in range(repeats):
            with through_proxy(f"{delay}ms") as connect:
                found.append(1e3 * echoed(*connect()) - 2 * delay)
        details[f"round trip, {2 * delay} ms"] = found
        detail = f"beyond 2 × {delay} ms; {min(found):.2f} to {max(found):.2f}"
        name = f"proxy, round trip {2 * delay} ms: more by"
        yield Claim(name=name, found=median(found), limit=1.2, unit="ms", detail=detail)


def following(trace: Trace, repeats: int, details: dict[str, object]) -> Iterator[Claim]:
    """A sender that always has more to send; what came in each second against what the trace let through."""
    edges = np.arange(FOLLOWED + 1, dtype=np.float64)
    allowed = np.diff(Integral(trace).until(edges))
    came = np.stack([seconds_of(trace, edges) for _ in range(repeats)])
    judged = allowed >= LEAST
    off = np.abs(np.median(came, axis=0)[judged] / allowed[judged] - 1)
    details["trace"] = {"name": trace.name, "allowed": allowed.tolist(), "came": came.tolist()}
    detail = f"the worst of {judged.sum()} seconds of {trace.name}; median {100 * float(np.median(off)):.2f} %"
    yield Claim(name="proxy, following a trace: off by", found=float(off.max()), limit=0.03, unit="", detail=detail)


def cross_check(repeats: int, details: dict[str, object]) -> Iterator[Claim]:
    """Both at the rate at which TCP's payload is the same: the bucket counts frames, the proxy payload."""
    for mbit in CHECKED:
        nbytes, kernel, proxy = round(mbit * 1e6 / 8 * LASTING), [], []
        for _ in range(repeats):
            with through_packets("tc", f"{mbit * FRAME / PAYLOAD}mbit") as connect:
                kernel.append(rate_of(transfer(connect, nbytes, warm=nbytes // 4)) / 1e6)
            with through_proxy(f"{mbit}mbit") as connect:
                proxy.append(rate_of(transfer(connect, nbytes, warm=nbytes // 4)) / 1e6)
        details[f"tc and proxy, {mbit} Mbit/s"] = {"tc": kernel, "proxy": proxy}
        off = abs(median(proxy) / median(kernel) - 1)
        detail = f"tc {median(kernel):.4g}, proxy {median(proxy):.4g} Mbit/s of payload"
        yield Claim(name=f"proxy against tc tbf, {mbit} Mbit/s: off by", found=off, limit=0.03, unit="", detail=detail)


def slow_start(repeats: int, details: dict[str, object]) -> Iterator[Claim]:
    """The first bytes of a fresh connection, and those of one that has found its pace."""
    first: dict[str, list[float]] = {"proxy": [], "tun": []}
    later: dict[str, list[float]] = {"proxy": [], "tun": []}
    for _ in range(repeats):
        for kind, firsts in first.items():
            with through_proxy(STEEP) if kind == "proxy" else through_packets(kind, STEEP) as connect:
                began = time.perf_counter()
                arrivals = transfer(connect, 40 * BURST)
                firsts.append(next(at for at, got in arrivals if got >= BURST) - began)
                later[kind].append(rate_of([one for one in arrivals if one[1] >= 20 * BURST]) / 1e6)
    details["slow start"] = {"first": first, "later": later}
    times = {kind: 1e3 * median(found) for kind, found in first.items()}
    detail = f"tun {times['tun']:.0f}, proxy {times['proxy']:.0f} ms for the first {BURST // 1000} KB over {STEEP}"
    ratio = times["tun"] / times["proxy"]
    yield Claim(name="tun, first bytes: against the proxy", found=ratio, limit=1.5, at_most=False, detail=detail)
    wanted = 20 * PAYLOAD / IP_PACKET
    off = abs(median(later["tun"]) / wanted - 1)
    detail = f"{median(later['tun']):.4g} of {wanted:.4g} Mbit/s of payload"
    yield Claim(name="tun, once it has found its pace: off by", found=off, limit=0.03, unit="", detail=detail)


# How it is measured.


def transfer(connect: Connect, nbytes: int, *, warm: int = 0) -> list[tuple[float, int]]:
    """(moment, bytes that had come by then), past the first `warm` of them."""
    sender, receiver = connect()
    with sender, receiver:
        writing = threading.Thread(target=_send, args=(sender, nbytes), daemon=True)
        writing.start()
        arrivals, got = [], 0
        while got < nbytes and (chunk := receiver.recv(READ)):
            got += len(chunk)
            arrivals.append((time.perf_counter(), got))
        writing.join()
    return [one for one in arrivals if one[1] >= warm]


def rate_of(arrivals: Sequence[tuple[float, int]]) -> float:
    """Bits per second, from the first arrival to the last."""
    (first, before), (last, got) = arrivals[0], arrivals[-1]
    return 8 * (got - before) / (last - first)


def echoed(sender: socket.socket, receiver: socket.socket, times: int = 30) -> float:
    """Median seconds of a small message there and back."""

    def answer() -> None:
        with contextlib.suppress(OSError):  # it is over
            while said := receiver.recv(64):
                receiver.sendall(said)

    threading.Thread(target=answer, daemon=True).start()
    with sender, receiver:
        found = []
        for _ in range(times):
            began = time.perf_counter()
            sender.sendall(b"ping")
            sender.recv(64)
            found.append(time.perf_counter() - began)
        sender.shutdown(socket.SHUT_RDWR)
    return median(found)


def seconds_of(trace: Trace, edges: Floats) -> Floats:
    """[S] bytes that came between the edges, in seconds since the trace began."""
    schedule = to_link_steps(trace, lasting=Seconds(float(edges[-1]) + 1.0))
    with through_proxy("1gbit") as connect:
        sender, receiver = connect()
        start = time.perf_counter() + 0.5
        connect.say("outage")
        connect.say(f"@{start!r} {schedule}")
        ended = threading.Event()
        threading.Thread(target=_send_until, args=(sender, ended), daemon=True).start()
        arrivals, got = [(start, 0)], 0
        receiver.settimeout(0.2)
        while time.perf_counter() < start + edges[-1] + 0.05:
            try:
                got += len(receiver.recv(READ))
            except TimeoutError:
                continue
            arrivals.append((time.perf_counter(), got))
        ended.set()
        receiver.close()
        sender.close()
    moments, amounts = np.array(arrivals).T
    # What came by an edge: in steps, as it came.
    by_edge = amounts[np.searchsorted(moments, start + edges, side="right") - 1]
    return np.diff(by_edge)


class Through:
    """Connects through a running proxy; `say` writes to its standard input."""

    def __init__(self, process: "subprocess.Popen[str]", listening: socket.socket, port: int) -> None:
        self._process, self._listening, self._port = process, listening, port

    def __call__(self) -> tuple[socket.socket, socket.socket]:
        sender = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        receiver, _ = self._listening.accept()
        return _quick(sender), _quick(receiver)

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)


@contextmanager
def through_proxy(link: str) -> Iterator[Through]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        to = f"127.0.0.1:{listening.getsockname()[1]}"
        flags = ["--listen", "127.0.0.1:0", "--to", to, "--link", link]
        with _shaping(*flags, "--control") as (process, ready):
            yield Through(process, listening, int(ready["listen"].rpartition(":")[2]))


@contextmanager
def through_packets(kind: str, link: str) -> Iterator[Connect]:
    """From inside a namespace to here."""
    name = "offramp-bench"
    flags = ["--by", kind, "--namespace", name, "--near", NEAR, "--far", FAR, "--link", link]
    ahead = max(LEAST_SENT, round(parse_schedule(link).steps[0][1].up * AHEAD / 8))
    with _shaping(*flags), ExitStack() as opened:
        listening = opened.enter_context(socket.create_server((NEAR, 0)))

        def connect() -> tuple[socket.socket, socket.socket]:
            with inside(name):
                sender = socket.socket()
            if kind == "tc":  # what a bucket drops comes in lumps, later
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ahead)
            sender.connect((NEAR, listening.getsockname()[1]))
            receiver, _ = listening.accept()
            return _quick(sender), _quick(receiver)

        yield connect


@contextmanager
def _shaping(*flags: str) -> "Iterator[tuple[subprocess.Popen[str], dict[str, str]]]":
    command = [sys.executable, "-m", "offramp.cli", "shape", *flags]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise SettingsError(process.stderr.read().strip())
            yield process, json.loads(line)
        finally:
            process.terminate()


def a_trace(arguments: argparse.Namespace) -> Trace:
    if arguments.trace is not None:
        return read_trace(arguments.trace)
    steps = [BitsPerSecond(mbit * 1e6) for mbit in (0.5, 2, 6, 15)]
    return generate.markov(steps, dwell=Seconds(0.7), duration=Seconds(float(FOLLOWED)), seed=7)


def _quick(end: socket.socket) -> socket.socket:
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end.settimeout(60)
    return end


def _send(sender: socket.socket, nbytes: int) -> None:
    sender.sendall(bytes(nbytes))


def _send_until(sender: socket.socket, ended: threading.Event) -> None:
    with contextlib.suppress(OSError):  # the receiver has seen enough
        while not ended.is_set():
            sender.sendall(bytes(READ))


if __name__ == "__main__":
    sys.exit(main())
