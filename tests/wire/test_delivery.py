"""Bundles over the wire: whole or in part, resumed, verified, and never more than was promised."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from offramp.bundle.manifest import Manifest
from offramp.bundle.shelf import held_digests, open_held
from offramp.bundle.store import MANIFEST, REFERENCE, WEIGHTS, Bundle, open_bundle, write_manifest
from offramp.errors import BundleError, InputError, LinkError, UnknownBundleError, WireError
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.units import Bytes
from offramp.wire import status
from offramp.wire.address import Address
from offramp.wire.channels import open_aio_channel
from offramp.wire.delivery import CHUNK, PARTIAL, SERVICE, Context, DeliveryService, fetch_bundle
from offramp.wire.tls import ClientTls, ServerTls
from offramp.wire.v1 import control_pb2 as pb
from tests.support.deliveries import RememberingDelivery, delivering


async def fetched(address: Address, bundle: str, store: Path, *options: Any) -> Bundle:
    return await asyncio.to_thread(fetch_bundle, address, bundle, store, *options)


@pytest.fixture
def large(tiny_bundle: Bundle, tmp_path: Path) -> Bundle:
    """The tiny bundle with an attachment of several chunks."""
    root = shutil.copytree(tiny_bundle.path, tmp_path / "large")
    (root / "large.bin").write_bytes(os.urandom(5 * CHUNK + 17))
    return Bundle(root, write_manifest(root, tiny_bundle.manifest))


class EnoughError(InterruptedError):
    """What a test raises to end a fetch half-way; an OSError, as what a disk says."""


def stop_at(nbytes: int) -> Callable[[Bytes, Bytes], None]:
    def progress(done: Bytes, _: Bytes) -> None:
        if done >= nbytes:
            raise EnoughError

    return progress


@pytest.mark.parametrize("by", ["name", "model_digest"])
async def test_what_is_fetched_is_the_bundle(tiny_bundle: Bundle, tmp_path: Path, by: str) -> None:
    async with delivering(DeliveryService([tiny_bundle])) as address:
        found = await fetched(address, getattr(tiny_bundle.manifest, by), tmp_path)
    assert found == Bundle(tmp_path / tiny_bundle.manifest.model_digest, tiny_bundle.manifest)
    assert (found.path / MANIFEST).read_bytes() == (tiny_bundle.path / MANIFEST).read_bytes()
    assert held_digests(tmp_path) == (tiny_bundle.manifest.model_digest,)


async def test_progress_ends_at_the_size_of_the_bundle(large: Bundle, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    async with delivering(DeliveryService([large])) as address:
        await fetched(address, large.manifest.name, tmp_path, None, None, lambda done, of: heard.append((done, of)))
    size = sum(entry.nbytes for entry in large.manifest.files.values())
    assert heard == sorted(heard)
    assert (heard[0], heard[-1]) == ((0, size), (size, size))


def heads(manifest: Manifest) -> set[str]:
    return {spec.file for spec in manifest.segments if spec.start == 0} | {WEIGHTS}


async def test_a_part_holds_what_was_wanted_and_names_what_it_lacks(tiny_bundle: Bundle, tmp_path: Path) -> None:
    async with delivering(DeliveryService([tiny_bundle])) as address:
        part = await fetched(address, "tiny", tmp_path, heads)
    assert part.missing == set(tiny_bundle.manifest.files) - heads(tiny_bundle.manifest)
    assert part == open_held(tmp_path, tiny_bundle.manifest.model_digest)
    with OnnxRuntime(part) as runtime:
        runtime.open(0, 2, branch=True)
        with pytest.raises(BundleError, match=r"a part of 'tiny' without graph/2-4\.onnx; fetch it again"):
            runtime.open(2, 4, branch=False)


async def test_a_part_that_grows_is_fetched_only_where_it_grew(tiny_bundle: Bundle, tmp_path: Path) -> None:
    service = RememberingDelivery(tiny_bundle)
    async with delivering(service) as address:
        await fetched(address, "tiny", tmp_path, heads)
        service.fetches.clear()
        assert not (await fetched(address, "tiny", tmp_path)).missing
    lacked = set(tiny_bundle.manifest.files) - heads(tiny_bundle.manifest)
    assert {request.file for request in service.fetches} == lacked


async def test_a_fetch_that_was_stopped_goes_on_where_it_was(large: Bundle, tmp_path: Path) -> None:
    service = RememberingDelivery(large)
    before = sum(entry.nbytes for name, entry in large.manifest.files.items() if name < "large.bin")
    async with delivering(service) as address:
        with pytest.raises(EnoughError):
            await fetched(address, "tiny", tmp_path, None, None, stop_at(before + 2 * CHUNK))
        assert held_digests(tmp_path) == ()
        found = await fetched(address, "tiny", tmp_path)
    assert service.asked("large.bin") == [0, 2 * CHUNK]
    assert service.asked(WEIGHTS) == [0]
    assert found == open_bundle(found.path)


async def test_a_partial_file_that_is_not_a_beginning_is_fetched_from_the_start(large: Bundle, tmp_path: Path) -> None:
    partial = tmp_path / large.manifest.model_digest / ("large.bin" + PARTIAL)
    partial.parent.mkdir()
    partial.write_bytes(b"x" * CHUNK)
    service = RememberingDelivery(large)
    async with delivering(service) as address:
        assert await fetched(address, "tiny", tmp_path) == open_bundle(partial.parent)
    assert service.asked("large.bin") == [CHUNK, 0]


async def test_a_corrupt_file_never_gets_its_name(large: Bundle, tmp_path: Path) -> None:
    service = DeliveryService([large])
    content = bytearray((large.path / WEIGHTS).read_bytes())
    content[7] ^= 1
    (large.path / WEIGHTS).write_bytes(content)
    async with delivering(service) as address:
        with pytest.raises(BundleError, match=r"weights\.bin of 'tiny' came with sha256 .* instead of"):
            await fetched(address, "tiny", tmp_path)
    place = tmp_path / large.manifest.model_digest
    assert not (place / WEIGHTS).exists()
    assert not (place / (WEIGHTS + PARTIAL)).exists()
    assert not (place / MANIFEST).exists()


async def test_more_bytes_than_the_manifest_promised_are_not_taken(large: Bundle, tmp_path: Path) -> None:
    service = DeliveryService([large])
    with (large.path / "large.bin").open("ab") as file:
        file.write(bytes(10 * CHUNK))
    async with delivering(service) as address:
        with pytest.raises(WireError, match=r"goes on after its 327697 bytes"):
            await fetched(address, "tiny", tmp_path)
    assert (tmp_path / large.manifest.model_digest / ("large.bin" + PARTIAL)).stat().st_size == 0


async def test_fewer_bytes_than_the_manifest_promised_are_a_broken_link(large: Bundle, tmp_path: Path) -> None:
    service = DeliveryService([large])
    os.truncate(large.path / "large.bin", CHUNK)
    async with delivering(service) as address:
        with pytest.raises(LinkError, match=r"ended after 65536 of its 327697 bytes"):
            await fetched(address, "tiny", tmp_path)


class Forging(DeliveryService):
    """Delivers another manifest than that of the bundle that it is asked for."""

    def __init__(self, bundle: Bundle, change: Callable[[dict[str, Any]], object]) -> None:
        super().__init__([bundle])
        document = json.loads((bundle.path / MANIFEST).read_text())
        change(document)
        self._forged = json.dumps(document).encode()

    async def manifest(self, raw: bytes, context: Context) -> bytes:
        return pb.ManifestReply(manifest=self._forged).SerializeToString()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it["files"].update({"../evil": it["files"][WEIGHTS]}), "'../evil', which lies outside"),
        (lambda it: it["files"].update({"/tmp/evil": it["files"][WEIGHTS]}), "'/tmp/evil', which lies outside"),
        (lambda it: it["files"].update({MANIFEST: it["files"][WEIGHTS]}), "'manifest.json', which lies outside"),
        (lambda it: it["files"][WEIGHTS].update(sha256="0" * 64), "model digest does not match"),
        (lambda it: it["files"][REFERENCE].update(nbytes=1 << 60), "make room"),
        (lambda it: it["files"][REFERENCE].update(nbytes=-1), "less than no bytes"),
        (lambda it: it.pop("cuts"), "'cuts' is missing"),
    ],
    ids=["up", "absolute", "manifest", "weights", "size", "negative", "key"],
)
async def test_a_forged_manifest_is_refused_before_a_file_is_written(
    tiny_bundle: Bundle, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    async with delivering(Forging(tiny_bundle, change)) as address:
        with pytest.raises(BundleError, match=message):
            await fetched(address, "tiny", tmp_path / "store")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.endswith(".lock")]


async def test_another_bundle_than_the_one_that_was_asked_for_is_refused(tiny_bundle: Bundle, tmp_path: Path) -> None:
    async with delivering(Forging(tiny_bundle, lambda _: None)) as address:
        with pytest.raises(WireError, match="asked for the bundle " + "f" * 64):
            await fetched(address, "f" * 64, tmp_path)


async def test_several_fetches_at_once_fetch_each_file_once(large: Bundle, tmp_path: Path) -> None:
    service = RememberingDelivery(large)
    async with delivering(service) as address:
        found = await asyncio.gather(*(fetched(address, "tiny", tmp_path) for _ in range(4)))
    assert found == [open_bundle(found[0].path)] * 4
    assert len(service.fetches) == len(large.manifest.files)


async def test_new_candidates_of_the_same_model_replace_the_old(large: Bundle, tmp_path: Path) -> None:
    async with delivering(DeliveryService([large])) as address:
        await fetched(address, "tiny", tmp_path)
    (large.path / "large.bin").write_bytes(b"measured again")
    renewed = Bundle(large.path, write_manifest(large.path, large.manifest))
    service = RememberingDelivery(renewed)
    async with delivering(service) as address:
        found = await fetched(address, "tiny", tmp_path)
    assert found.manifest == renewed.manifest
    assert [request.file for request in service.fetches] == ["large.bin"]


async def test_what_changed_and_is_not_wanted_any_more_does_not_spoil_a_part(large: Bundle, tmp_path: Path) -> None:
    async with delivering(DeliveryService([large])) as address:
        await fetched(address, "tiny", tmp_path)
    (large.path / "large.bin").write_bytes(b"measured again")
    renewed = Bundle(large.path, write_manifest(large.path, large.manifest))
    async with delivering(DeliveryService([renewed])) as address:
        part = await fetched(address, "tiny", tmp_path, heads)
    assert part.missing == {"large.bin"}


async def test_a_store_that_cannot_be_written_is_an_error_of_the_bundle(tiny_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    async with delivering(DeliveryService([tiny_bundle])) as address:
        with pytest.raises(BundleError, match=r"cannot be kept in .*store: "):
            await fetched(address, "tiny", tmp_path / "store")


async def test_an_unknown_bundle_is_refused_with_those_there_are(tiny_bundle: Bundle, tmp_path: Path) -> None:
    async with delivering(DeliveryService([tiny_bundle])) as address:
        with pytest.raises(UnknownBundleError, match="no bundle 'huge' is delivered here, but: tiny"):
            await fetched(address, "huge", tmp_path)


async def test_nobody_there_is_a_lost_link(tmp_path: Path) -> None:
    with pytest.raises(LinkError):
        await fetched(Address(host="127.0.0.1", port=1), "tiny", tmp_path)


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (pb.FetchRequest(file="../../etc/passwd"), InputError, "has no file '../../etc/passwd'"),
        (pb.FetchRequest(file=MANIFEST), InputError, "has no file 'manifest.json'"),
        (pb.FetchRequest(file=WEIGHTS, offset=1 << 40), InputError, "cannot be fetched from byte 1099511627776 on"),
        (pb.FetchRequest(file="graph/3-4.onnx"), UnknownBundleError, "is not held here; ask another"),
    ],
    ids=["traversal", "manifest", "offset", "missing"],
)
async def test_only_what_a_manifest_lists_and_this_copy_holds_is_delivered(
    tiny_bundle: Bundle, tmp_path: Path, request_: pb.FetchRequest, error: type[Exception], message: str
) -> None:
    root = shutil.copytree(tiny_bundle.path, tmp_path / "part")
    (root / "graph/3-4.onnx").unlink()
    request_.model_digest = tiny_bundle.manifest.model_digest
    async with (
        delivering(DeliveryService([open_bundle(root, part=True)])) as address,
        open_aio_channel(address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_stream(f"/{SERVICE}/Fetch")(request_.SerializeToString()).read()
    found = status.from_rpc(caught.value)
    assert isinstance(found, error)
    assert message in str(found)


async def test_bundles_come_over_tls_too(tiny_bundle: Bundle, tmp_path: Path, certificates: Path) -> None:
    theirs = ServerTls(cert=certificates / "edge.crt", key=certificates / "edge.key")
    async with delivering(DeliveryService([tiny_bundle]), theirs) as address:
        found = await fetched(address, "tiny", tmp_path, None, ClientTls(ca=certificates / "ca.crt"))
    assert found.manifest == tiny_bundle.manifest
