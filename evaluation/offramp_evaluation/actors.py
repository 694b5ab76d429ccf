"""The only module of the lab that imports Ray: recording as tasks of a cluster.

    this process ── bundle, once ──► object store ─► every Ray worker unpacks it when it first needs it
                 ── Task ──► a Ray worker ── Heard ──► this process, which writes the part

Nothing is shared but the object store: a node needs this package installed, no file of ours.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from offramp.bundle.parcel import Files, read_files, write_files
from offramp.bundle.store import Bundle
from offramp.errors import LinkError, MissingExtraError, OfframpError
from offramp.measure.listen import Heard
from offramp_evaluation.recording.workers import Advanced, Bench, Done, Task

AHEAD = 1
"""Tasks that wait for a worker beside those that run: it never idles, and little is held in memory."""

_benches: dict[str, Bench] = {}
"""Of this Ray worker, by model digest."""


class RayTasks:
    """Workers on a Ray cluster: the one at `address`, or one of this machine alone."""

    def __init__(self, bundle: Bundle, *, address: str | None = None) -> None:
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
            raise MissingExtraError("ray", "orchestrator", "recording on Ray") from error
        self._ray: Any = ray
        self._bundle = bundle
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

    def run(self, tasks: Iterable[Task]) -> Iterator[Advanced | Done]:
        ray = self._ray
        files = ray.put(read_files(self._bundle))
        hear = ray.remote(num_cpus=1)(_hear)
        at_once = max(1, int(ray.cluster_resources().get("CPU", 1))) + AHEAD
        waiting = iter(tasks)
        running: dict[Any, Task] = {}
        while True:
            while len(running) < at_once and (task := next(waiting, None)) is not None:
                running[hear.remote(files, self._bundle.manifest.model_digest, task)] = task
            if not running:
                return
            (ready,), _ = ray.wait(list(running), num_returns=1)
            task = running.pop(ready)
            try:
                heard: Heard = ray.get(ready)
            except ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None)
                reason = cause if isinstance(cause, OfframpError) else f"a Ray worker failed: {error}"
                raise OfframpError(f"{reason}; run the same command again to go on") from error
            yield Advanced(len(heard))
            yield Done(task.number, heard)


def _hear(files: Files, digest: str, task: Task) -> Heard:
    """In a Ray worker, which opens the bundle once and keeps it."""
    from offramp.runtime.threads import configure_threads

    if digest not in _benches:
        configure_threads(1)
        # Segments are read when they are opened, so the folder lives as long as this worker.
        folder = tempfile.mkdtemp(prefix="offramp-bundle-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _benches[digest] = Bench(write_files(files, Path(folder)))
    for message in _benches[digest].work(task):
        if isinstance(message, Done):
            return message.heard
    raise AssertionError("a task ends with Done")
