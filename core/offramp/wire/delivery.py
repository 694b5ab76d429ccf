"""Bundles over the wire: whoever holds them delivers, whoever lacks one fetches it, file by file.

    fetch ── Manifest(name or digest) ──► deliver        the manifest is checked against its own digest
          ── Fetch(digest, file, offset) ─►              each file against the manifest, before it gets its name
          ◄─ chunk ─ chunk ─ chunk …

A fetch that breaks leaves `FILE.partial`, and the next one goes on at its end. The manifest is written last: a folder
with a manifest is a bundle.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from offramp.bundle.manifest import Manifest
from offramp.bundle.shelf import Part, shelf_lock, shelf_place
from offramp.bundle.shelf import device_part as device_part  # noqa: PLC0414 - what a device asks for
from offramp.bundle.specs import FileEntry
from offramp.bundle.store import MANIFEST, Bundle, check_manifest, file_entry, open_bundle, read_manifest
from offramp.errors import BundleError, InputError, LinkError, UnknownBundleError, WireError
from offramp.units import Bytes, Seconds, format_bytes
from offramp.wire import status
from offramp.wire.address import Address
from offramp.wire.channels import open_channel
from offramp.wire.tls import ClientTls
from offramp.wire.v1 import control_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["Delivery"].full_name
CHUNK = Bytes(64 << 10)
"""5 s at 0.1 Mbit/s: what is lost when a connection breaks."""
MAX_CHUNK = Bytes(256 << 10)
TURN = Seconds(60.0)
"""One call fetches for this long, and the next goes on; in which nothing came, nobody is there."""
PARTIAL = ".partial"

M = TypeVar("M", bound=Message)
Context = grpc.aio.ServicerContext[bytes, bytes]
Progress = Callable[[Bytes, Bytes], None]
"""Bytes that are there, and bytes that will be. It may raise, which ends the fetch; the next one goes on from there."""


class DeliveryService:
    """Delivers the files of bundles, and nothing else of this machine: only names that a manifest lists are opened."""

    def __init__(self, bundles: Iterable[Bundle]) -> None:
        self._bundles = {bundle.manifest.model_digest: bundle for bundle in bundles}
        self._manifests = {
            digest: (bundle.path / MANIFEST).read_bytes() for digest, bundle in self._bundles.items()
        }  # as they were when the bundles were opened

    def handler(self) -> grpc.GenericRpcHandler:
        """What a server is given."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Manifest": grpc.unary_unary_rpc_method_handler(self.manifest),
                "Fetch": grpc.unary_stream_rpc_method_handler(self.fetch),
            },
        )

    async def manifest(self, raw: bytes, context: Context) -> bytes:
        try:
            digest = self._find(_parse(pb.ManifestRequest, raw).bundle)
        except (WireError, InputError, BundleError) as error:
            await context.abort(*status.to_status(error))
        return pb.ManifestReply(manifest=self._manifests[digest]).SerializeToString()

    async def fetch(self, raw: bytes, context: Context) -> None:
        try:
            file = await self._open(_parse(pb.FetchRequest, raw))
        except (WireError, InputError, BundleError) as error:
            await context.abort(*status.to_status(error))
        with file:
            # In a thread: a disk that sleeps must not keep others from their answers.
            while data := await asyncio.to_thread(file.read, CHUNK):
                await context.write(pb.Chunk(data=data).SerializeToString())

    def _find(self, asked: str) -> str:
        if asked in self._bundles:
            return asked
        digests = [digest for digest, bundle in self._bundles.items() if bundle.manifest.name == asked]
        if len(digests) > 1:
            raise InputError(f"several bundles are named {asked!r} here; ask for one by its digest: {digests}")
        if not digests:
            served = ", ".join(f"{one.manifest.name} {digest[:12]}" for digest, one in self._bundles.items())
            raise UnknownBundleError(f"no bundle {asked[:80]!r} is delivered here, but: {served or 'none'}")
        return digests[0]

    async def _open(self, request: pb.FetchRequest) -> BinaryIO:
        bundle = self._bundles[self._find(request.model_digest)]
        entry = bundle.manifest.files.get(request.file)
        if entry is None:
            raise InputError(f"{bundle.manifest.name!r} has no file {request.file[:80]!r}; its manifest lists them")
        if request.offset > entry.nbytes:
            raise InputError(
                f"{request.file} has {entry.nbytes} bytes and cannot be fetched from byte {request.offset} on"
            )
        try:
            file = await asyncio.to_thread(bundle.file(request.file).open, "rb")
        except (OSError, BundleError) as error:
            raise UnknownBundleError(
                f"{request.file} of {bundle.manifest.name!r} is not held here; ask another that delivers it"
            ) from error
        file.seek(request.offset)
        return file


def fetch_bundle(
    address: Address,
    bundle: str,
    store: Path,
    part: Part | None = None,
    tls: ClientTls | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Bundle:
    """Fetch a bundle, by name or model digest, into `store`; what of it is there already is not fetched again.

    Blocks its thread, for as long as the link takes. Several fetches of one bundle take turns: the later ones find
    all of it there.

    Args:
        address: Who delivers it: an orchestrator or an edge.
        bundle: Its name or its model digest, which pins what will run.
        store: The folder of fetched bundles; each lies under its digest.
        part: Which files are wanted, such as `device_part`; None wants all.
        tls: None is plain text.
        progress: Hears how far it is.

    Raises:
        InputError: A TLS file is not what it should be.
        UnknownBundleError: There, nobody holds it.
        LinkError: Nobody is there, or the link broke; the next fetch goes on from here.
        WireError: What came is not what was asked for.
        BundleError: What came is corrupt, or cannot be kept here.
    """
    with open_channel(address, tls) as channel:
        raw, manifest = _fetch_manifest(channel, address, bundle)
        place = shelf_place(store, manifest.model_digest)
        chosen = set(manifest.files) if part is None else part(manifest)
        wanted = {name: entry for name, entry in manifest.files.items() if name in chosen}
        total = sum(entry.nbytes for entry in wanted.values())
        done = 0

        def report(nbytes: int) -> None:
            progress(Bytes(done + nbytes), Bytes(total))

        def wait(turn: Seconds) -> None:
            report(0)
            time.sleep(turn)

        try:
            with shelf_lock(store, manifest.model_digest, wait):
                lacking = _lacking(place, manifest, wanted)
                done = total - sum(wanted[name].nbytes for name in lacking)
                report(0)
                _check_room(store, sum(wanted[name].nbytes for name in lacking))
                for name in lacking:
                    _fetch_file(channel, manifest, name, place, report)
                    done += wanted[name].nbytes
                _write(place / MANIFEST, raw)
                return open_bundle(place, part=part is not None)
        except OSError as error:
            if error.errno is None:  # not the system's: a lost link, an OSError too, or whatever progress raised
                raise
            raise BundleError(f"the bundle cannot be kept in {store}: {error.strerror or error}") from error


def _fetch_manifest(channel: grpc.Channel, address: Address, asked: str) -> tuple[bytes, Manifest]:
    request = pb.ManifestRequest(bundle=asked).SerializeToString()
    ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{SERVICE}/Manifest")
    try:
        answer = ask(request, timeout=TURN)
    except grpc.RpcError as error:
        raise status.from_rpc(error) from error
    raw = _parse(pb.ManifestReply, answer).manifest
    place = f"{asked} from {address}"
    manifest = read_manifest(raw, f"the manifest of {place}")
    check_manifest(manifest, place)
    if asked not in (manifest.model_digest, manifest.name):
        raise WireError(f"asked for the bundle {asked}, {address} sent {manifest.name} {manifest.model_digest[:12]}")
    if any(entry.nbytes < 0 for entry in manifest.files.values()):
        raise BundleError(f"the manifest of {place} has a file of less than no bytes; build the bundle again")
    return raw, manifest


def _lacking(place: Path, manifest: Manifest, wanted: Mapping[str, FileEntry]) -> list[str]:
    """The files that are still to be fetched; those of an older manifest that are not wanted any more are removed."""
    lacking = []
    for name, entry in manifest.files.items():
        path = place / name
        if path.is_file() and path.stat().st_size == entry.nbytes and file_entry(path) == entry:
            continue
        if name in wanted:
            lacking.append(name)
        else:
            path.unlink(missing_ok=True)
    return lacking


def _check_room(store: Path, nbytes: int) -> None:
    free = shutil.disk_usage(store).free
    if nbytes > free:
        needed, left = format_bytes(Bytes(nbytes)), format_bytes(Bytes(free))
        raise BundleError(
            f"the bundle needs {needed} in {store}, where {left} are free; make room or give another store"
        )


def _fetch_file(
    channel: grpc.Channel, manifest: Manifest, name: str, place: Path, report: Callable[[int], None]
) -> None:
    """One file, verified before it gets its name; what does not fit its digest is fetched once more, from its start."""
    entry, partial = manifest.files[name], place / (name + PARTIAL)
    partial.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(2):
        resumed = partial.is_file() and partial.stat().st_size > 0
        if resumed and partial.stat().st_size > entry.nbytes:
            partial.unlink()
        with partial.open("ab") as file:
            while (have := file.tell()) < entry.nbytes:
                report(have)
                _fetch_on(channel, manifest, name, file, report)
            file.flush()
            os.fsync(file.fileno())
        found = file_entry(partial)
        if found == entry:
            partial.replace(place / name)
            return
        partial.unlink()
        if attempt or not resumed:
            break
    raise BundleError(
        f"{name} of {manifest.name!r} came with sha256 {found.sha256[:12]}… instead of {entry.sha256[:12]}…; "
        f"who delivers it holds another one, build or fetch it there again"
    )


def _fetch_on(
    channel: grpc.Channel, manifest: Manifest, name: str, file: BinaryIO, report: Callable[[int], None]
) -> None:
    """One call's worth of a file, appended to it.

    Raises:
        LinkError: Not a byte came.
    """
    begun, nbytes = file.tell(), manifest.files[name].nbytes
    request = pb.FetchRequest(model_digest=manifest.model_digest, file=name, offset=begun).SerializeToString()
    ask: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(f"/{SERVICE}/Fetch")
    call = ask(request, timeout=TURN)
    try:
        for answer in call:
            data = _parse(pb.Chunk, answer).data
            if len(data) > min(MAX_CHUNK, nbytes - file.tell()):
                raise WireError(f"{name} of {manifest.name!r} goes on after its {nbytes} bytes; nothing of it was kept")
            file.write(data)
            report(file.tell())
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
            raise status.from_rpc(error) from error
        if file.tell() == begun:
            raise LinkError(f"nothing of {name} came within {TURN:g} s; fetch it again, or from another") from error
        return
    except WireError:
        file.truncate(0)
        raise
    finally:
        call.cancel()
    if file.tell() < nbytes:
        raise LinkError(f"{name} of {manifest.name!r} ended after {file.tell()} of its {nbytes} bytes; fetch it again")


def _write(path: Path, raw: bytes) -> None:
    partial = path.with_name(path.name + PARTIAL)
    partial.write_bytes(raw)
    partial.replace(path)


def _parse(kind: type[M], raw: bytes) -> M:
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        name = kind.DESCRIPTOR.full_name
        raise WireError(f"these {len(raw)} bytes are not a {name}; check the versions of both ends") from error
