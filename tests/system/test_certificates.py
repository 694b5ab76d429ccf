"""deploy/certificates makes what mutual TLS needs: the edge and its devices believe each other, and nobody else."""

import shutil
import subprocess
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest

from offramp.errors import LinkError
from offramp.wire.address import parse_address
from offramp.wire.channels import listen, open_channel, server_options
from offramp.wire.status import from_rpc
from offramp.wire.tls import ClientTls, ServerTls
from offramp.wire.v1 import inference_pb2 as pb
from offramp.wire.v1 import inference_pb2_grpc as pb_grpc

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed"),
]

SCRIPT = Path(__file__).parents[2] / "deploy/certificates/make-certificates"


def make_certificates(out: Path, *names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, out, *names], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("certificates")
    for device in ("board-1", "board-2"):  # one call each: the second adds to what the first made
        run = make_certificates(out, "edge.example.org", device)
        assert run.returncode == 0, run.stderr
    return out


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another authority's: the same names, another signature."""
    out = tmp_path_factory.mktemp("strangers")
    assert make_certificates(out, "edge.example.org", "board-1").returncode == 0
    return out


class Edge(pb_grpc.InferenceServicer):
    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeReply:  # noqa: N802
        return pb.DescribeReply()


@pytest.fixture(scope="module")
def edge(files: Path) -> Iterator[str]:
    """The port of an edge that admits only devices with a certificate of the same authority."""
    server = grpc.server(futures.ThreadPoolExecutor(2), options=server_options())
    pb_grpc.add_InferenceServicer_to_server(Edge(), server)
    tls = ServerTls(cert=files / "edge.crt", key=files / "edge.key", client_ca=files / "ca.crt")
    address = listen(server, parse_address("127.0.0.1:0", listen=True), tls)
    server.start()
    yield str(address)
    server.stop(None).wait()


def describe(edge: str, tls: ClientTls) -> pb.DescribeReply:
    with open_channel(parse_address(edge), tls) as channel:
        try:
            return pb_grpc.InferenceStub(channel).Describe(pb.DescribeRequest(), timeout=2.0)
        except grpc.RpcError as error:
            raise from_rpc(error) from error


@pytest.mark.parametrize("device", ["board-1", "board-2"])
@pytest.mark.parametrize("name", ["", "edge.example.org"])
def test_a_device_with_its_certificate_is_admitted(edge: str, files: Path, device: str, name: str) -> None:
    tls = ClientTls(ca=files / "ca.crt", cert=files / f"{device}.crt", key=files / f"{device}.key", server_name=name)
    assert describe(edge, tls) == pb.DescribeReply()


def test_a_device_without_a_certificate_is_not(edge: str, files: Path) -> None:
    with pytest.raises(LinkError):
        describe(edge, ClientTls(ca=files / "ca.crt"))


def test_a_device_of_another_authority_is_not(edge: str, files: Path, strangers: Path) -> None:
    with pytest.raises(LinkError):
        describe(edge, ClientTls(ca=files / "ca.crt", cert=strangers / "board-1.crt", key=strangers / "board-1.key"))


def test_the_certificate_of_a_device_does_not_make_an_edge(files: Path) -> None:
    checks = [
        subprocess.run(
            ["openssl", "verify", "-CAfile", files / "ca.crt", "-purpose", purpose, files / "board-1.crt"],
            capture_output=True,
            timeout=60,
            check=False,
        ).returncode
        for purpose in ("sslclient", "sslserver")
    ]
    assert checks[0] == 0
    assert checks[1] != 0


def test_keys_are_for_their_owner_alone(files: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in files.glob("*.key")}
    assert modes == {"ca.key": 0o600, "edge.key": 0o600, "board-1.key": 0o600, "board-2.key": 0o600}


def test_a_second_call_keeps_what_the_first_made(files: Path) -> None:
    before = {path: path.read_bytes() for path in files.iterdir() if path.suffix in (".crt", ".key")}
    assert make_certificates(files, "edge.example.org", "board-1", "board-2").returncode == 0
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("names", [(), ("edge.example.org", "ca"), ("edge.example.org", "edge")])
def test_names_that_cannot_be_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    run = make_certificates(tmp_path / "out", *names)
    assert run.returncode == 2
    assert not (tmp_path / "out").exists()
