"""An engine: a bundle opened on this board. Another bundle is another engine; routes keep theirs alive."""

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle
from offramp.clock import Clock
from offramp.runtime.runtime import Runtime
from offramp_device.route import OpenHead, RouteOpener, no_other_head


class Engine:
    """Opens routes; a context manager."""

    def __init__(self, manifest: Manifest, runtime: Runtime, clock: Clock, head: OpenHead = no_other_head) -> None:
        self.manifest = manifest
        self.runtime = runtime
        self.opener = RouteOpener(manifest, runtime, clock, head=self._headed)
        self.open_head = head
        self._heads: dict[str, Runtime] = {}

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Open nothing more; segments that routes hold go on working, and are freed with the last route."""
        for runtime in (self.runtime, *self._heads.values()):
            runtime.close()

    def _headed(self, head: str) -> Runtime:
        """The bundle as it runs with another head, opened when a plan first asks for it."""
        if head not in self._heads:
            self._heads[head] = self.open_head(head)
        return self._heads[head]


def open_engine(bundle: Bundle, clock: Clock, *, threads: int | None = None, slowdown: float = 1.0) -> Engine:
    """An engine over ONNX Runtime.

    Args:
        bundle: All of it, or the part that a device runs.
        clock: Of the device.
        threads: Of a model call, 0 for one per core; None leaves the process's pool as it is.
        slowdown: Emulate a board that many times slower.

    Raises:
        SettingsError: Threads or slowdown cannot be had.
    """
    # Here, because ONNX Runtime takes 0.1 s to import, and a program may only want the values.
    from offramp.runtime.board import SlowedRuntime, effort_of
    from offramp.runtime.onnx_backend import OnnxRuntime, configure_threads

    if threads is not None:
        configure_threads(threads)
    effort = None if threads is None else effort_of(threads)

    def opened(head: str) -> Runtime:
        runtime = OnnxRuntime(bundle.headed(head))
        return runtime if slowdown == 1.0 else SlowedRuntime(runtime, slowdown, clock, effort=effort)

    return Engine(bundle.manifest, opened(""), clock, opened)
