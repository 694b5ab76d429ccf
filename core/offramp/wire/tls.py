"""TLS for every port: off unless a file is given, mutual when both ends give theirs.

    server  --tls-cert, --tls-key       who it is          client  --tls-ca              whom it trusts
            --tls-client-ca             whom it admits             --tls-cert, --tls-key who it is

Plain text stays allowed on any address: boards often sit behind a tunnel or on a cable of their own. A program that
listens in plain text where other machines can reach it says so when it starts.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from offramp.errors import InputError

# grpc and ssl are imported where they are used: settings hold these values, and `offramp --help` reads the settings.
if TYPE_CHECKING:
    import ssl

    import grpc


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """Files in PEM form; all None is plain text."""

    cert: Path | None = None
    """The certificate chain, leaf first."""
    key: Path | None = None
    client_ca: Path | None = None
    """Only clients whose certificate it signed may connect; None admits everybody."""

    def __post_init__(self) -> None:
        _check_pair(self.cert, self.key)
        if self.client_ca and not self.cert:
            raise InputError("clients can only be checked over TLS; give the certificate and the key of the server too")

    def credentials(self) -> "grpc.ServerCredentials | None":
        """None for plain text.

        Raises:
            InputError: A file cannot be read, or is not what it should be.
        """
        if self.cert is None or self.key is None:
            return None
        import grpc

        _check_chain(self.cert, self.key)
        ca = _check_ca(self.client_ca) if self.client_ca else None
        pair = (self.key.read_bytes(), self.cert.read_bytes())
        return grpc.ssl_server_credentials([pair], root_certificates=ca, require_client_auth=ca is not None)

    def context(self) -> "ssl.SSLContext | None":
        """The same for ports that are not gRPC's; None for plain text.

        Raises:
            InputError: A file cannot be read, or is not what it should be.
        """
        if self.cert is None or self.key is None:
            return None
        import ssl

        context = _check_chain(self.cert, self.key)
        if self.client_ca:
            context.load_verify_locations(cadata=_check_ca(self.client_ca).decode("ascii"))
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """Files in PEM form; all None is plain text."""

    ca: Path | None = None
    """Signed the server's certificate."""
    cert: Path | None = None
    key: Path | None = None
    server_name: str = ""
    """The name in the server's certificate, when the address has another."""

    def __post_init__(self) -> None:
        _check_pair(self.cert, self.key)
        if (self.cert or self.server_name) and not self.ca:
            raise InputError("TLS needs to know whom to trust; give the certificate authority of the server too")

    def credentials(self) -> "grpc.ChannelCredentials | None":
        """None for plain text.

        Raises:
            InputError: A file cannot be read, or is not what it should be.
        """
        if self.ca is None:
            return None
        import grpc

        ca = _check_ca(self.ca)
        if self.cert is None or self.key is None:
            return grpc.ssl_channel_credentials(ca)
        _check_chain(self.cert, self.key)
        return grpc.ssl_channel_credentials(ca, self.key.read_bytes(), self.cert.read_bytes())


def _check_pair(cert: Path | None, key: Path | None) -> None:
    if (cert is None) is not (key is None):
        given, missing = ("certificate", "key") if key is None else ("key", "certificate")
        raise InputError(f"the {given} {cert or key} has no {missing}; give both, or neither for plain text")


# gRPC takes any bytes and fails only when somebody connects, with a line of C++; the ssl module says at once what is
# wrong with a file.


def _check_chain(cert: Path, key: Path) -> "ssl.SSLContext":
    import ssl

    for path in (cert, key):
        _read(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password makes an encrypted key an error; without one OpenSSL would ask on the terminal.
        context.load_cert_chain(cert, key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise InputError(f"{cert} and {key} are no certificate and its (unencrypted) key in PEM: {error}") from error
    return context


def _check_ca(path: Path) -> bytes:
    import ssl

    data = _read(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=data.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise InputError(f"{path} holds no certificate in PEM: {error}") from error
    return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
