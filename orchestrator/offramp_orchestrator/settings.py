"""What the orchestrator can be told."""

from dataclasses import dataclass
from math import inf
from pathlib import Path

from offramp.errors import SettingsError
from offramp.measure.energy import RADIOS, EnergyModel
from offramp.planning.objective import Objective, parse_objective
from offramp.planning.strategies.catalog import DEFAULT, STRATEGIES
from offramp.settings import setting
from offramp.wire.address import Address, parse_address
from offramp.wire.tls import ServerTls

MAX_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestratorSettings:
    bundle: tuple[Path, ...] = setting((), "bundle to plan for; the first is that of devices without", metavar="DIR")
    listen: str = setting("127.0.0.1:50050", "where devices and edges find it: HOST:PORT", metavar="ADDRESS")
    advertise: str = setting("", "host by which devices find it, where that is not the one of --listen", metavar="HOST")
    objective: str = setting("", "of devices that bring none, such as 'minimise=latency, drop=1%'", metavar="TEXT")
    strategy: str = setting(DEFAULT, "how plans are chosen; search, all-device, fixed:PLAN, …", metavar="NAME")
    power: float | None = setting(None, "watts that boards draw while they compute: to plan for energy", metavar="W")
    radio: str = setting("none", "how they send: lte, 3g, wifi, or none for a cable", metavar="NAME")
    events: bool = setting(False, "print what happens as JSON lines on standard output")
    telemetry: bool = setting(False, "with the events, what every device reports, once a second")
    in_process: bool = setting(False, "decide in this process, without Ray")
    ray_address: str | None = setting(None, "Ray cluster to use: auto, or HOST:PORT; none: one of its own", metavar="A")
    controllers: int = setting(1, "controllers that share the devices; more than one needs Ray", metavar="N")
    edges: int = setting(0, "edge servers that Ray places and keeps running", metavar="N")
    edge_cpus: float = setting(1.0, "processors that each of them takes from its node", metavar="N")
    node_port: int = setting(0, "of the first that Ray places, the next ones count up; 0: any", metavar="PORT")
    tls_cert: Path | None = setting(None, "certificate chain in PEM; with it every port speaks TLS", metavar="FILE")
    tls_key: Path | None = setting(None, "its key in PEM", metavar="FILE")
    tls_client_ca: Path | None = setting(
        None, "admit only callers whose certificate this authority signed", metavar="FILE"
    )

    def __post_init__(self) -> None:
        if self.controllers < 1:
            raise SettingsError(f"controllers is {self.controllers}; somebody has to decide, so give at least 1")
        if self.power is not None and not 0 <= self.power < inf:
            raise SettingsError(f"power is {self.power:g}; a board draws 0 W or more while it computes")
        if self.edges < 0:
            raise SettingsError(f"edges is {self.edges}; give 0 or more")
        if not 0 < self.edge_cpus < inf:
            raise SettingsError(f"edge_cpus is {self.edge_cpus:g}; an edge takes more than 0 processors")
        if not 0 <= self.node_port <= MAX_PORT:
            raise SettingsError(f"node_port is {self.node_port}; give a port up to {MAX_PORT}, or 0 for any")
        if self.in_process and self.asks_ray:
            raise SettingsError("in_process decides without Ray; leave out ray_address, controllers and edges")
        if self.telemetry and not self.events:
            raise SettingsError("telemetry comes with the events; give --events too")
        STRATEGIES[self.strategy.partition(":")[0].strip()]  # an unknown name is an error at the start, and not later
        _ = self.wanted, self.energy

    @property
    def address(self) -> Address:
        return parse_address(self.listen, listen=True)

    @property
    def asks_ray(self) -> bool:
        """Whether something was asked that this process alone cannot do."""
        return self.ray_address is not None or self.controllers > 1 or self.edges > 0

    @property
    def wanted(self) -> Objective:
        return parse_objective(self.objective)

    @property
    def energy(self) -> EnergyModel | None:
        return None if self.power is None else EnergyModel(compute_w=self.power, radio=RADIOS[self.radio])

    @property
    def tls(self) -> ServerTls:
        return ServerTls(cert=self.tls_cert, key=self.tls_key, client_ca=self.tls_client_ca)
