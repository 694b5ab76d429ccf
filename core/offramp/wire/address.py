"""Where a service listens or is found: `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`."""

import ipaddress
import re
from dataclasses import dataclass

from offramp.errors import InputError

_HOST_PORT = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>[0-9]{1,5})")
_MAX_PORT = 65_535
_MAX_UNIX_PATH = 107  # sun_path of Linux, without its closing zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Either a host and a port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        """As gRPC takes it and as a person wrote it."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine can reach it: where plain text is no question."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str, *, listen: bool = False) -> Address:
    """Read an address; port 0, which means any free port, is one only to listen at.

    Raises:
        InputError: It is none; the message says what is.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        if not 0 < len(path.encode()) <= _MAX_UNIX_PATH:
            raise InputError(
                f"{text!r} names no Unix socket; write unix:PATH with a path of 1 to {_MAX_UNIX_PATH} bytes"
            )
        return Address(path=path)
    found = _HOST_PORT.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{text!r} is no address; write HOST:PORT, [IPV6]:PORT or unix:PATH")
    port = int(found["port"])
    if port > _MAX_PORT or (port == 0 and not listen):
        raise InputError(f"port {port} of {text!r} is out of range; give one from {0 if listen else 1} to {_MAX_PORT}")
    return Address(host=found["six"] or found["host"], port=port)
