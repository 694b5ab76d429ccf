"""What the device can be told."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from offramp.errors import SettingsError
from offramp.settings import setting
from offramp.units import Bytes, Seconds
from offramp.wire.address import Address, parse_address
from offramp_device.admission import MAX_UNANSWERED
from offramp_device.steering import AUTO, Steering

if TYPE_CHECKING:
    from offramp.wire.tls import ClientTls


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    bundle: Path | None = setting(
        None, "the bundle to run; without one, what the orchestrator says is fetched", metavar="DIR"
    )
    edge: str | None = setting(
        None,
        "where the edge is; default: where the orchestrator says, or none",
        metavar="HOST:PORT",
    )
    plan: str | None = setting(
        None,
        'such as "split=3, exit=confidence:0.85, codec=affine8+zstd"; auto: chosen here, again and again; default: '
        "every branch at 0.9",
        metavar="PLAN",
    )
    orchestrator: str | None = setting(None, "who keeps it on the best plan", metavar="HOST:PORT")
    name: str = setting("", "unique among the orchestrator's devices; default: the host's", metavar="NAME")
    objective: str = setting(
        "", "such as 'minimise=p95, drop=1%'; default: the orchestrator's, or the least latency", metavar="TEXT"
    )
    strategy: str = setting("steady:search", "by which it chooses while nobody steers it", metavar="NAME")
    store: Path | None = setting(
        None, "fetched bundles and profiles; default: $XDG_CACHE_HOME/offramp or ~/.cache/offramp", metavar="DIR"
    )
    profile: Path | None = setting(
        None, "what `offramp profile` wrote on this board; default: measured once", metavar="FILE"
    )
    shadow: float = setting(
        0.05, "share of the samples leaving at a branch that the whole network answers too; 0: none", metavar="SHARE"
    )
    source: str | None = setting(None, "where samples come from, see above", metavar="SOURCE")
    stream: str = setting("device", "name of the stream, in every result", metavar="NAME")
    rate: float | None = setting(
        None, "samples that arrive per second; default: as fast as it can", metavar="PER_SECOND"
    )
    limit: int | None = setting(None, "stop after so many samples", metavar="N")
    cue: bool = setting(False, "begin when a line of standard input says: seconds of this machine's monotonic clock")
    deadline: Seconds = setting(
        Seconds(1.0), "an answer that comes later than this after the arrival is none", metavar="TIME"
    )
    queue: int = setting(8, "arrivals that may wait for the stages; more are rejected", metavar="N")
    in_flight: int = setting(4, "samples away at once, when as fast as it can", metavar="N")
    unanswered: Bytes = setting(MAX_UNANSWERED, "bytes that may be on their way to the edge", metavar="SIZE")
    threads: int = setting(0, "threads of a model call; 0: one per physical core", metavar="N")
    slowdown: float = setting(1.0, "emulate a board this many times slower than this machine", metavar="FACTOR")
    local: str | None = setting(
        None, "let local programs submit samples and plans: 127.0.0.1:PORT or unix:PATH", metavar="ADDRESS"
    )
    out: Path | None = setting(None, "write the results here instead of to standard output", metavar="FILE")
    json: bool = setting(False, 'also write {"event": …} and {"summary": …} as JSON lines')
    telemetry: bool = setting(False, 'with --json, write {"event": "telemetry", …} once a second')
    logits: bool = setting(False, "write the logits of every answer too")
    tls_ca: Path | None = setting(None, "speak TLS to both, and trust this authority (PEM)", metavar="FILE")
    tls_cert: Path | None = setting(None, "show them this certificate (PEM)", metavar="FILE")
    tls_key: Path | None = setting(None, "its key (PEM)", metavar="FILE")
    tls_name: str = setting("", "the name in their certificates, when the addresses have others", metavar="NAME")

    def __post_init__(self) -> None:
        if self.listens and (self.rate is not None or self.limit is not None):
            raise SettingsError("local programs decide when samples come, and how many; leave --rate and --limit out")
        if self.cue and (self.source in (None, "-") or self.listens):
            raise SettingsError("--cue begins a source of its own, and not with paths on standard input; give --source")
        for name in ("limit", "queue", "in_flight", "unanswered"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{name} is {value}; give at least 1")
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise SettingsError(
                f"rate is {self.rate:g}; give samples per second, or leave it out for as fast as it can"
            )
        if not 0 < self.deadline < float("inf"):
            raise SettingsError(f"deadline is {self.deadline:g} s; give a time such as 500ms")
        if not 0 <= self.shadow <= 1:
            raise SettingsError(f"shadow is {self.shadow:g}; give a share between 0 and 1, such as 0.05")
        if self.telemetry and not (self.json and self.is_steered):
            raise SettingsError(
                "telemetry is written as JSON lines of a device that is steered; give --json, and "
                "--orchestrator or --plan auto"
            )
        if self.threads < 0:
            raise SettingsError(f"threads is {self.threads}; give a number of threads, or 0 for one per core")
        if not 1 <= self.slowdown < float("inf"):
            raise SettingsError(
                f"slowdown is {self.slowdown:g}; a board can be emulated that is 1 or more times slower"
            )

    @property
    def is_auto(self) -> bool:
        """It chooses its plan by itself, unless somebody else does."""
        return self.plan == AUTO

    @property
    def is_steered(self) -> bool:
        """Its plan changes with what is measured."""
        return self.orchestrator is not None or self.is_auto

    @property
    def steering(self) -> Steering:
        """How it is kept on its plan, where it is at all."""
        from offramp.bundle.shelf import default_store

        return Steering(
            orchestrator=self.orchestrator_address,
            name=self.name or socket.gethostname(),
            objective=self.objective,
            strategy=self.strategy,
            store=self.store or default_store(os.environ),
            profile=self.profile,
            shadow=self.shadow,
            chooses=self.plan is None or self.is_auto,
            waits=not self.is_auto,
            own_edge=self.edge or "",
            threads=self.threads,
            slowdown=self.slowdown,
            tls=self.tls,
        )

    @property
    def orchestrator_address(self) -> Address | None:
        return None if self.orchestrator is None else parse_address(self.orchestrator)

    @property
    def edge_address(self) -> Address | None:
        return None if self.edge is None else parse_address(self.edge)

    @property
    def local_address(self) -> Address | None:
        """Where local programs find it: `--local`, or `--source listen:ADDRESS`."""
        text = self.local
        if self.listens:
            given = (self.source or "").removeprefix("listen:")
            if text is not None and text != given:
                raise SettingsError(f"--local {text} and --source listen:{given} name two addresses; give one of them")
            text = given
        if text is None:
            return None
        address = parse_address(text, listen=True)
        if not address.is_local:
            raise SettingsError(
                f"{text} can be reached from other machines, and whoever reaches it may submit samples and plans; "
                "give 127.0.0.1:PORT or unix:PATH"
            )
        return address

    @property
    def listens(self) -> bool:
        """Samples come from local programs alone."""
        return self.source is not None and self.source.startswith("listen:")

    @property
    def tls(self) -> "ClientTls":
        from offramp.wire.tls import ClientTls  # with gRPC, which a device without an edge does not need

        return ClientTls(ca=self.tls_ca, cert=self.tls_cert, key=self.tls_key, server_name=self.tls_name)
