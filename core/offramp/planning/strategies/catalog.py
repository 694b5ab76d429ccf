"""All strategies, by name. Adding one is a file and a line here.

search · steady:search · all-edge:jpeg · fixed:split=3, exit=confidence:0.9
         │      └ the strategy inside (default: search)
         └ what it is about is written after the colon
"""

from collections.abc import Callable

from offramp.errors import UnknownNameError
from offramp.planning.strategies.all_device import AllDevice
from offramp.planning.strategies.all_edge import AllEdge
from offramp.planning.strategies.dads import Dads
from offramp.planning.strategies.edgent import Edgent
from offramp.planning.strategies.fixed import Fixed
from offramp.planning.strategies.neurosurgeon import Neurosurgeon
from offramp.planning.strategies.residual import Residual
from offramp.planning.strategies.search import Search
from offramp.planning.strategies.splitee import SplitEE
from offramp.planning.strategies.splitee_s import SplitEES
from offramp.planning.strategies.steady import Steady
from offramp.planning.strategies.strategy import Grounds, Strategy
from offramp.registry import Catalogue

DEFAULT = "steady:search"
"""What an orchestrator, and a device without one, chooses by."""

Opener = Callable[[Grounds, str], Strategy]
"""From grounds, and from what stands after the colon (empty: nothing)."""


def alone(kind: Callable[[Grounds], Strategy]) -> Opener:
    """One that takes no parameter."""

    def opener(grounds: Grounds, parameter: str) -> Strategy:
        if parameter:
            raise UnknownNameError(f"this strategy takes nothing after its colon, so {parameter!r} has no use there")
        return kind(grounds)

    return opener


def around(kind: Callable[[Grounds, Strategy], Strategy]) -> Opener:
    """One that wraps another, which stands after the colon; `search` when nothing does."""
    return lambda grounds, parameter: kind(grounds, open_strategy(parameter or "search", grounds))


def corrected(grounds: Grounds, parameter: str) -> Strategy:
    """One around another that plans by corrected costs, so it has to be opened on those."""
    return Residual(grounds, lambda inside: open_strategy(parameter or "search", inside))


STRATEGIES: Catalogue[Opener] = Catalogue(
    "strategy",
    [
        ("search", alone(Search)),
        ("steady", around(Steady)),
        ("all-device", alone(AllDevice)),
        ("all-edge", AllEdge),
        ("fixed", Fixed),
        ("neurosurgeon", alone(Neurosurgeon)),
        ("edgent", alone(Edgent)),
        ("dads", alone(Dads)),
        ("splitee", SplitEE),
        ("splitee-s", SplitEES),
        ("residual", corrected),
    ],
)


def open_strategy(name: str, grounds: Grounds) -> Strategy:
    """A fresh one, for one device.

    Raises:
        UnknownNameError: No strategy has this name; the message lists those there are.
        InputError: What stands after the colon means nothing to it.
    """
    kind, _, parameter = name.partition(":")
    return STRATEGIES[kind.strip()](grounds, parameter.strip())
