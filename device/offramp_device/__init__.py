"""The device: sources, pipeline, uplink, daemon.

with Device.open("bundle/", edge="192.0.2.7:50051", plan="split=3, exit=confidence:0.85") as device:
    result = device.infer(image)

Names are imported when they are first used: `offramp --help` imports this package too.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offramp_device.device import Device as Device
    from offramp_device.uplink import LoopbackUplink as LoopbackUplink
    from offramp_device.uplink import LostUplink as LostUplink

__all__ = ["Device", "LoopbackUplink", "LostUplink"]

_HOMES = {"Device": "device", "LoopbackUplink": "uplink", "LostUplink": "uplink"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
