"""The device: sources, pipeline, uplink, daemon.

from offramp_device import Device

with Device.open("bundle/", edge="192.0.2.7:7070", plan="split=3, exit=confidence:0.85") as device:
    result = device.infer(image)
"""
