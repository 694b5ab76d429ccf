"""The only module of the lab that imports Ray: recording and sweeping as tasks of a cluster.

    this process ── bundle, tape, once ──► object store ─► every Ray worker unpacks them when it first needs them
                 ── Task ──► a Ray worker ── Heard ──► this process, which writes the part
                 ── Cell ──► a Ray worker ── Outcome ──► this process, which writes the record

Nothing is shared but the object store: a node needs this package installed, no file of ours.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from offramp.bundle.parcel import Files, read_files, write_files
from offramp.bundle.store import Bundle, open_bundle
from offramp.errors import LinkError, MissingExtraError, OfframpError
from offramp.measure.listen import Heard
from offramp.tape.reader import open_tape
from offramp_evaluation.plugins import load_plugins, loaded
from offramp_evaluation.recording.workers import Advanced, Bench, Done, Task
from offramp_evaluation.sweep.cell import Cell, Network
from offramp_evaluation.sweep.run import Bench as RunBench
from offramp_evaluation.sweep.run import Failed, Outcome

AHEAD = 1
"""Tasks that wait for a worker beside those that run: it never idles, and little is held in memory."""

T = TypeVar("T")

_benches: dict[str, Bench] = {}
"""Of this Ray worker, by model digest."""
_run_benches: dict[str, RunBench] = {}
"""Of this Ray worker, by what is opened for a network."""


class _Cluster:
    """A Ray cluster: the one at `address`, or one of this machine alone."""

    def __init__(self, address: str | None, purpose: str) -> None:
        """
        Raises:
            MissingExtraError: Ray is not installed.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Under `uv run` Ray would build the environment anew for each worker, and can stall on it.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "orchestrator", purpose) from error
        self._ray: Any = ray
        self._address = address

    def __enter__(self) -> Self:
        try:
            # "local": never a cluster that happens to run here and was not asked for.
            self._ray.init(
                address=self._address or "local",
                include_dashboard=False if self._address is None else None,
                log_to_driver=False,
                logging_level="ERROR",
            )
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            raise LinkError(f"no Ray cluster at {self._address or 'this machine'}: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def _each(self, remote: Any, items: Iterable[tuple[T, Sequence[Any]]]) -> Iterator[tuple[T, Any]]:
        """(item, reference to what became of it) for each (item, arguments of its task), in the order of their ends."""
        ray = self._ray
        at_once = max(1, int(ray.cluster_resources().get("CPU", 1))) + AHEAD
        waiting = iter(items)
        running: dict[Any, T] = {}
        while True:
            while len(running) < at_once and (following := next(waiting, None)) is not None:
                item, arguments = following
                running[remote.remote(*arguments)] = item
            if not running:
                return
            (ready,), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(ready), ready


class RayTasks(_Cluster):
    """Records a bundle."""

    def __init__(self, bundle: Bundle, *, address: str | None = None) -> None:
        """
        Raises:
            MissingExtraError: Ray is not installed.
        """
        super().__init__(address, "recording on Ray")
        self._bundle = bundle

    def run(self, tasks: Iterable[Task]) -> Iterator[Advanced | Done]:
        ray = self._ray
        files, digest = ray.put(read_files(self._bundle)), self._bundle.manifest.model_digest
        hear = ray.remote(num_cpus=1)(_hear)
        for task, ready in self._each(hear, ((task, (files, digest, task)) for task in tasks)):
            try:
                heard: Heard = ray.get(ready)
            except ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None)
                reason = cause if isinstance(cause, OfframpError) else f"a Ray worker failed: {error}"
                raise OfframpError(f"{reason}; run the same command again to go on") from error
            yield Advanced(len(heard))
            yield Done(task.number, heard)


class RayRuns(_Cluster):
    """Performs the runs of a sweep over some networks."""

    def __init__(self, networks: Sequence[Network], *, address: str | None = None) -> None:
        """
        Raises:
            MissingExtraError: Ray is not installed.
        """
        super().__init__(address, "sweeping on Ray")
        self._networks = networks

    def run(self, cells: Iterable[Cell]) -> Iterator[tuple[Cell, Outcome]]:
        ray = self._ray
        parcels = {one.key: ray.put(_parcel(one)) for one in self._networks}
        perform = ray.remote(num_cpus=1)(_perform)
        for cell, ready in self._each(perform, ((cell, (parcels[cell.network.key], cell)) for cell in cells)):
            try:
                outcome: Outcome = ray.get(ready)
            except ray.exceptions.RayError as error:
                outcome = Failed(reason=f"its Ray worker failed: {error}; run the same command again")
            yield cell, outcome


def _parcel(network: Network) -> dict[str, Any]:
    files = read_files(open_bundle(network.bundle, check=False))
    return {"bundle": files, "tape": network.tape.read_bytes(), "plugins": loaded()}


def _perform(parcel: Mapping[str, Any], cell: Cell) -> Outcome:
    """In a Ray worker, which opens a network once and keeps it."""
    key = cell.network.key
    if key not in _run_benches:
        load_plugins(parcel["plugins"])
        folder = _folder("offramp-sweep-")
        bundle = write_files(parcel["bundle"], folder / "bundle")
        (folder / "tape").write_bytes(parcel["tape"])
        _run_benches[key] = RunBench(lambda _network: (bundle, open_tape(folder / "tape")))
    return _run_benches[key].perform(cell)


def _hear(files: Files, digest: str, task: Task) -> Heard:
    """In a Ray worker, which opens the bundle once and keeps it."""
    from offramp.runtime.threads import configure_threads

    if digest not in _benches:
        configure_threads(1)
        # Segments are read when they are opened, so the folder lives as long as this worker.
        _benches[digest] = Bench(write_files(files, _folder("offramp-bundle-")))
    for message in _benches[digest].work(task):
        if isinstance(message, Done):
            return message.heard
    raise AssertionError("a task ends with Done")


def _folder(prefix: str) -> Path:
    """Of this Ray worker; it goes with it."""
    folder = tempfile.mkdtemp(prefix=prefix)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
