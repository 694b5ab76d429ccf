"""The codec of a plan that sends nothing: at the end of the network, and only there."""

from offramp.codecs.packer import Crossing
from offramp.records import Feature
from offramp.units import Bytes


class Nothing:
    """An empty payload, an empty feature."""

    exact = True
    max_packed = Bytes(0)

    def __init__(self, _crossing: Crossing, _parameter: str) -> None:
        pass

    def pack(self, feature: Feature) -> bytes:  # noqa: ARG002
        return b""

    def unpack(self, packed: bytes) -> Feature:  # noqa: ARG002
        return ()

    @staticmethod
    def refusal(crossing: Crossing) -> str:
        return "" if crossing.kind == "end" else "it sends nothing, and the edge would have nothing to go on"
