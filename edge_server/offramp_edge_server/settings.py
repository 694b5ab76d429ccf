"""What the edge server can be told."""

import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from offramp.errors import InputError, SettingsError
from offramp.registry import unknown
from offramp.settings import setting
from offramp.units import Bytes, Seconds
from offramp.wire.address import Address, parse_address
from offramp.wire.tls import ClientTls, ServerTls

RUNTIMES = ("onnx", "torch")
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
_HOST = re.compile(r"[A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    bundle: tuple[Path, ...] = setting((), "bundle to serve; give it several times for several bundles", metavar="DIR")
    listen: str = setting("127.0.0.1:50051", "where devices find it: HOST:PORT or unix:PATH", metavar="ADDRESS")
    metrics: str | None = setting(None, "serve /metrics and /v2/health here: PORT or HOST:PORT", metavar="PORT")
    runtime: str = setting("onnx", "what runs the model: onnx, or torch, which can use a GPU", metavar="NAME")
    torch_device: str = setting("cpu", "where the torch runtime runs: cpu, cuda or cuda:N", metavar="DEVICE")
    threads: int = setting(0, "threads of a model call; 0: one per physical core", metavar="N")
    open: int = setting(8, "splits of each bundle that are kept open; about 60 MB each for a ResNet-18", metavar="N")
    queue: int = setting(256, "requests that may wait for the model; more are refused", metavar="N")
    queue_bytes: Bytes = setting(Bytes(256 << 20), "payloads that may wait for the model", metavar="SIZE")
    max_batch: int = setting(16, "requests that may share a model call", metavar="N")
    pending: int = setting(64, "unanswered requests of one stream; more are refused", metavar="N")
    orchestrator: str | None = setting(None, "join the fleet of the orchestrator at this address", metavar="HOST:PORT")
    name: str = setting("", "unique among the orchestrator's edges; default: host name and port", metavar="NAME")
    advertise: str = setting(
        "", "where devices find it, when that is not where it listens: HOST or HOST:PORT", metavar="ADDRESS"
    )
    profile: tuple[Path, ...] = setting(
        (), "what a bundle takes here, from `offramp profile`; default: measured at the start", metavar="FILE"
    )
    fetch: tuple[str, ...] = setting(
        (), "fetch this bundle from the orchestrator first: a name or a model digest", metavar="NAME"
    )
    store: Path | None = setting(None, "folder of fetched bundles; default: ~/.cache/offramp", metavar="DIR")
    grace: Seconds = setting(Seconds(5.0), "when told to stop, finish what was taken within this time", metavar="TIME")
    tls_cert: Path | None = setting(None, "certificate chain in PEM; with it every port speaks TLS", metavar="FILE")
    tls_key: Path | None = setting(None, "its key in PEM", metavar="FILE")
    tls_client_ca: Path | None = setting(
        None, "admit only clients whose certificate this authority signed", metavar="FILE"
    )
    orchestrator_ca: Path | None = setting(
        None,
        "speak TLS to the orchestrator, and trust this authority (PEM); --tls-cert is what it is shown",
        metavar="FILE",
    )

    def __post_init__(self) -> None:
        for name in ("open", "queue", "max_batch", "pending"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; give at least 1")
        if self.runtime not in RUNTIMES:
            raise SettingsError(unknown("runtime", self.runtime, list(RUNTIMES)))
        if self.runtime != "torch" and self.torch_device != "cpu":
            raise SettingsError(f"torch_device is {self.torch_device}, but torch is not asked; give --runtime torch")
        if self.threads < 0:
            raise SettingsError(f"threads is {self.threads}; give a number of threads, or 0 for one per core")
        if self.orchestrator is not None:
            self.advertised(self.address)
        else:
            for name in ("fetch", "profile", "orchestrator_ca"):
                if getattr(self, name):
                    raise SettingsError(f"{name} needs an orchestrator; give --orchestrator HOST:PORT too")

    @property
    def address(self) -> Address:
        return parse_address(self.listen, listen=True)

    def advertised(self, listening: Address) -> Address:
        """Where devices find the edge that listens there.

        Raises:
            SettingsError: It listens at every address of the machine, which is none that could be told.
        """
        if not self.advertise:
            if listening.host in _EVERYWHERE:
                raise SettingsError(
                    f"an edge that listens at {listening} is found at some other address; "
                    f"say which with --advertise HOST"
                )
            return listening
        found = _parse_host(self.advertise)
        return found if found.port or found.path else Address(host=found.host, port=listening.port)

    def called(self, found: Address) -> str:
        """What an orchestrator calls the edge that is found there."""
        return self.name or f"{socket.gethostname()}:{found.path or found.port}"

    @property
    def orchestrator_address(self) -> Address | None:
        return None if self.orchestrator is None else parse_address(self.orchestrator)

    @property
    def orchestrator_tls(self) -> ClientTls | None:
        if self.orchestrator_ca is None:
            return None
        return ClientTls(ca=self.orchestrator_ca, cert=self.tls_cert, key=self.tls_key)

    @property
    def metrics_address(self) -> Address | None:
        """A bare port is one of the host that devices find."""
        if self.metrics is None:
            return None
        text = self.metrics
        if text.isdigit():
            text = str(Address(host=self.address.host or "127.0.0.1", port=0)).removesuffix("0") + text
        address = parse_address(text, listen=True)
        if address.path:
            raise SettingsError(f"metrics cannot be served at {text!r}; give PORT or HOST:PORT")
        return address

    @property
    def tls(self) -> ServerTls:
        return ServerTls(cert=self.tls_cert, key=self.tls_key, client_ca=self.tls_client_ca)


def _parse_host(text: str) -> Address:
    """An address whose port may be left out."""
    try:
        return parse_address(text, listen=True)
    except InputError:
        host = text.strip("[]")
        if not _HOST.fullmatch(host) and not _is_ip(host):
            raise
        return Address(host=host)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
