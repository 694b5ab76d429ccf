"""A small HTTP port for those who watch the server: Prometheus and load balancers.

GET /metrics            what was counted
GET /v2/health/live     200 while the process lives
GET /v2/health/ready    200 while it takes requests, 503 when it starts or stops (names of the KServe V2 protocol)
"""

import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from offramp.errors import InputError
from offramp.wire.address import Address
from offramp.wire.tls import ServerTls

_PATIENCE = 5.0  # seconds that a silent client may hold a thread


class Monitor:
    """Serves from threads of its own: a watcher must get through when the event loop is busy."""

    def __init__(
        self, address: Address, tls: ServerTls, metrics: Callable[[], bytes], ready: Callable[[], bool]
    ) -> None:
        self._wanted = address
        self._tls = tls
        self._metrics = metrics
        self._ready = ready
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Address:
        """Listen; returns the address with the port it got.

        Raises:
            InputError: The address is in use or not ours, or a TLS file is not what it should be.
        """
        context = self._tls.context()
        try:
            server = _server_kind(self._wanted)((self._wanted.host, self._wanted.port), self._handler())
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(f"cannot serve metrics at {self._wanted}: {reason}; choose another port") from error
        if context is not None:
            # The handshake happens in the client's own thread, not where connections are accepted.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, name="offramp-monitor", daemon=True)
        self._thread.start()
        return Address(host=self._wanted.host, port=server.server_address[1])

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        monitor = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _PATIENCE

            def do_GET(self) -> None:  # the name that http.server calls
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    self._reply(HTTPStatus.OK, monitor._metrics(), "text/plain; version=0.0.4; charset=utf-8")
                elif path == "/v2/health/live":
                    self._reply(HTTPStatus.OK, b'{"live": true}\n', "application/json")
                elif path == "/v2/health/ready":
                    if monitor._ready():
                        self._reply(HTTPStatus.OK, b'{"ready": true}\n', "application/json")
                    else:
                        self._reply(HTTPStatus.SERVICE_UNAVAILABLE, b'{"ready": false}\n', "application/json")
                else:
                    known = b"there are /metrics, /v2/health/live and /v2/health/ready\n"
                    self._reply(HTTPStatus.NOT_FOUND, known, "text/plain")

            def _reply(self, status: HTTPStatus, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server uses
                """Nothing: a line for every scrape tells nobody anything."""

        return Handler


def _server_kind(address: Address) -> type[ThreadingHTTPServer]:
    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """Nothing: a client that sends garbage or leaves is no event of ours."""

    return Server
