"""Where training runs: on a GPU where there is one, else on the processor."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn


def fastest() -> torch.device:
    """The device to train on."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bfloat16(device: torch.device | None = None) -> bool:
    """Whether the device multiplies bfloat16 itself; where it does not, it is slower than float32."""
    if device is not None and device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capability: Mapping[str, Any] = torch.cpu.get_capabilities()
    return bool(capability.get("avx512_bf16") or capability.get("amx_bf16") or capability.get("bf16"))


def halved(device: torch.device, trained: nn.Module) -> AbstractContextManager[Any]:
    """Products in bfloat16 where that is faster."""
    # On a processor, convolutions over time are 5 to 20 times slower in bfloat16 (torch 2.13).
    slower = device.type == "cpu" and any(isinstance(module, nn.Conv1d) for module in trained.modules())
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device) and not slower)
