"""Tracing and exporting without torch's asides, which say nothing to the one who builds a bundle."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def quietly() -> Iterator[None]:
    """Trace without gradients, warnings and log lines, and without the fused attention that cannot be traced."""
    fastpath = torch.backends.mha.get_fastpath_enabled()
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    torch.backends.mha.set_fastpath_enabled(False)
    exporter.setLevel(logging.ERROR)  # it warns that torchvision is absent, at each first export
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
        torch.backends.mha.set_fastpath_enabled(fastpath)
