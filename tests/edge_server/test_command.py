"""`offramp edge` as a process: its first line, its signals, its exit codes."""

import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import AbstractContextManager

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from offramp.bundle.store import Bundle
from offramp.wire.address import parse_address
from offramp.wire.channels import open_channel
from tests.edge_server.edge import PATIENCE
from tests.support.servers import next_line, serving

pytestmark = pytest.mark.system


def edge(*arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return serving("edge", *arguments)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_stops_when_told(
    tiny_bundle: Bundle, other_bundle: Bundle, number: signal.Signals
) -> None:
    folders = (str(tiny_bundle.path), str(other_bundle.path))
    with edge("--bundle", folders[0], "--bundle", folders[1], "--listen", "127.0.0.1:0", "--metrics", "0") as process:
        ready = next_line(process)
        assert ready["event"] == "ready"
        bundles = ready["bundles"]
        assert isinstance(bundles, list)
        assert [bundle["digest"] for bundle in bundles] == [
            tiny_bundle.manifest.model_digest,
            other_bundle.manifest.model_digest,
        ]
        with open_channel(parse_address(str(ready["listen"]))) as channel:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
        with urllib.request.urlopen(f"http://{ready['metrics']}/v2/health/ready", timeout=PATIENCE) as page:
            assert page.status == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert out == "", "standard output is for programs"
    assert "plain text" in err
    assert err.rstrip().endswith("stopped")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "--bundle"),
        (["--bundle", "nowhere"], 1, "nowhere"),
        (["--bundle", "BUNDLE", "--listen", "nonsense"], 2, "HOST:PORT"),
        (["--bundle", "BUNDLE", "--listen", "127.0.0.1:TAKEN"], 2, "address already in use"),
        (["--bundle", "BUNDLE", "--listen", "127.0.0.1:0", "--tls-cert", "a.crt"], 2, "no key"),
        (["--bundle", "BUNDLE", "--queue", "0"], 2, "queue"),
        (["--bundle", "BUNDLE", "--queue", "many"], 2, "queue"),
        (["--bundle", "BUNDLE", "--bundle", "BUNDLE", "--listen", "127.0.0.1:0"], 2, "the same bundle"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(
    tiny_bundle: Bundle, arguments: list[str], code: int, says: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        filled = [item.replace("BUNDLE", str(tiny_bundle.path)).replace("TAKEN", port) for item in arguments]
        with edge(*filled) as process:
            out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, err
    assert out == ""
    assert says in err
    assert "Traceback" not in err


def loaded(program: str) -> set[str]:
    """The modules that a process has loaded after this program."""
    script = f"{program}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_help_of_all_commands_waits_for_nothing_heavy() -> None:
    assert not {"grpc", "onnxruntime", "numpy", "ssl"} & loaded("import offramp_edge_server.command")


def test_a_server_loads_neither_torch_nor_ray_nor_sklearn(tiny_bundle: Bundle) -> None:
    program = f"""
import asyncio
from offramp.bundle.store import open_bundle
from offramp_edge_server.server import EdgeServer
from offramp_edge_server.settings import EdgeSettings

async def main():
    async with EdgeServer([open_bundle({str(tiny_bundle.path)!r})], EdgeSettings(listen="127.0.0.1:0")):
        pass

asyncio.run(main())
"""
    assert not {"torch", "ray", "sklearn"} & loaded(program)
