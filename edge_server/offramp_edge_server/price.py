"""What a busy edge charges for its work, so that devices exit earlier or divide later: pure arithmetic.

    price     seconds charged for each second of work
      │                          ╱
      │                        ╱      more with each request that waits
    1 ┤                     _╱
      │                 _.─'
    0 ┼────────────────'─────┬
      0               0.7    1   busy

Below the knee nobody has to be spared. At its limits an edge charges as much again as its work takes; and the more, the
more requests a further second of work would keep waiting, but by their root only: a price that followed their number
would call devices away and back for ever.
"""

import math

from offramp.units import Seconds

KNEE = 0.7
"""Share of busy time up to which work costs others next to nothing."""
MAX_PRICE = 100.0
"""Past that a device will not come anyway."""
RISE, FALL = Seconds(4.0), Seconds(20.0)
"""Time constants. Devices follow a price within a second or two; one that fell as fast as it rose would call all of
them back together, and rise again. With these, an edge that is offered twice what it can do settles, and one that is
offered five times as much stays busy (a test plays it)."""
FORGOTTEN = 0.01
"""A price that falls below this is none."""


def price_of(busy: float, waiting: float) -> float:
    """The price that a load calls for, before it is smoothed.

    Args:
        busy: Share of the time in which the model worked, in [0, 1].
        waiting: Requests that wait, on average over the time.
    """
    strain = min(max((busy - KNEE) / (1 - KNEE), 0.0), 1.0)
    return min(strain * strain * math.sqrt(1 + waiting), MAX_PRICE)


def smoothed(before: float, called_for: float, elapsed: Seconds) -> float:
    """The price that is asked now: it follows the one that is called for, up quickly and down slowly."""
    patience = RISE if called_for > before else FALL
    price = called_for + (before - called_for) * math.exp(-elapsed / patience)
    return price if price >= FORGOTTEN or called_for >= FORGOTTEN else 0.0
