"""The protocol of a codec: feature to payload and back.

    feature ─► quantise ─► pack ─► entropy stage ─► payload … payload ─► … ─► feature

One codec name says it all and reads back: `base[:parameter][+entropy]`, such as `affine8+zstd` or `jpeg:75`.
"""

from typing import Protocol

from offramp.errors import PayloadError
from offramp.records import Feature
from offramp.units import Bytes


class Codec(Protocol):
    """Opened for one cut of one bundle; keeps no state between calls and may be shared by threads."""

    name: str
    max_payload: Bytes
    """No valid payload is larger; a longer one is refused before memory is taken."""

    def encode(self, feature: Feature) -> bytes:
        """The payload of one sample: every tensor is [1, *shape] as the cut declares it."""
        ...

    def decode(self, payload: bytes) -> Feature:
        """The tensors of one sample, each [1, *shape] in the cut's dtype.

        Raises:
            PayloadError: The payload is truncated, malformed or oversized.
        """
        ...


def check_size(name: str, size: int, most: Bytes, *, exact: bool = False) -> None:
    """Before memory is taken; `exact`: every payload of this codec is as large as the largest.

    Raises:
        PayloadError: No payload has this size.
    """
    if size > most or (exact and size != most):
        expected = f"{most}" if exact else f"at most {most}"
        raise PayloadError(
            f"a payload of {size} bytes where {name} takes {expected}: truncated, malformed, or of another plan"
        )
