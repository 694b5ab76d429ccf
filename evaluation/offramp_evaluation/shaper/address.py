"""HOST:PORT, as the shaper listens and connects."""

import socket
from dataclasses import dataclass

from offramp.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address; port 0 lets the system choose when listening."""

    host: str
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def pair(self) -> tuple[str, int]:
        return self.host, self.port

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `127.0.0.1:50051`, `edge.local:50051` or `[::1]:50051`.

    Raises:
        SettingsError: No host, or no port between 0 and 65535.
    """
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise SettingsError(f"{text!r} is not an address; write HOST:PORT, such as 127.0.0.1:50051")
    return Address(host, int(port))
