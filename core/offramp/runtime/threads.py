"""The one thread pool of the process, which every session shares.

Sessions with pools of their own spin against each other: ten of them took 84 ms where one pool takes 8.8.
"""

import threading

import onnxruntime

from offramp.errors import SettingsError

ALL_CORES = 0
"""ONNX Runtime's own choice: one thread per physical core that the process may use."""

_lock = threading.Lock()
_configured: int | None = None


def configure_threads(threads: int) -> None:
    """Size the process's pool; call it before the first segment is opened. Repeating the same number does nothing.

    Raises:
        SettingsError: The number is negative, or the pool has another size already.
    """
    if threads < 0:
        raise SettingsError(f"threads={threads} is negative; give a number, or {ALL_CORES} for every physical core")
    global _configured  # noqa: PLW0603 - one pool per process is ONNX Runtime's own rule
    with _lock:
        if _configured is None:
            onnxruntime.set_global_thread_pool_sizes(threads, 1)
            _configured = threads
        elif _configured != threads:
            raise SettingsError(
                f"threads={threads} comes too late: this process shares a pool of {_name(_configured)} already, and "
                "ONNX Runtime cannot resize it; set the number once, at start"
            )


def ensure_threads() -> None:
    """The pool as it was configured, or one of every physical core."""
    with _lock:
        configured = _configured
    configure_threads(ALL_CORES if configured is None else configured)


def is_configured() -> bool:
    """Whether the pool exists: from then on every session must take its threads from it, and none before."""
    with _lock:
        return _configured is not None


def _name(threads: int) -> str:
    return "every core" if threads == ALL_CORES else str(threads)
