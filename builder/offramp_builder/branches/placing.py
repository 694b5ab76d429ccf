"""Where branches hang.

auto            the exits that the network has; else two: near one third, near two thirds of the operations
N, even:N       evenly by operations, between blocks; at activations, inside blocks too
NAMES           at these cuts (or positions), between commas
stages, fine:N, pareto:N, linear:N, golden:N
                by a rule: see `offramp_builder.placement.rules`
search          found by trying every activation: see `offramp_builder.placement.search`
own             the exits that the network brought along
"""

from offramp.errors import ModelError
from offramp_builder.capture import Captured
from offramp_builder.cuts import FoundCut
from offramp_builder.placement.own import KIND as OWN
from offramp_builder.placement.rules import by_rule, exit_points, is_rule
from offramp_builder.placement.settings import SEARCH

AUTO = 2
_LATEST = 0.95
"""Share of the operations: who has gone so far may as well go on to the end."""


def place_branches(captured: Captured, request: str) -> tuple[int, ...]:
    """Positions for what a user asked; none yet for `search`, which has to try first.

    Raises:
        ModelError: A name that no cut has, a cut where no branch can hang, more branches than there are places, or two
            exits of the network's own at one place.
    """
    request = request.strip()
    if request in ("none", "0", SEARCH):
        return ()
    if request == "auto":
        return _evenly(captured, min(AUTO, _room(captured)))
    if request == OWN:
        return _own(captured)
    if is_rule(request) and request not in [cut.name for cut in captured.cuts]:
        return by_rule(exit_points(captured), captured.macs, request)
    if request.isdigit():
        if int(request) > _room(captured):
            raise ModelError(
                f"there are places for {_room(captured)} branches, not for {request}; ask for fewer, or name cuts"
            )
        return _evenly(captured, int(request))
    named = sorted({captured.position(name.strip()) for name in request.split(",") if name.strip()})
    for position in named:
        if position in (0, captured.end):
            raise ModelError(
                f"a branch cannot hang on {captured.cuts[position].name}; name a cut between the input and the output"
            )
    return tuple(named)


def _own(captured: Captured) -> tuple[int, ...]:
    if not captured.own:
        raise ModelError(
            "the network has no exits of its own: its forward returns one set of logits; return a list of them that "
            "ends with those of the whole network, or let branches be trained with --branches auto"
        )
    hung: dict[int, str] = {}
    for own in captured.own:
        if own.position in hung:
            raise ModelError(
                f"the exits {hung[own.position]!r} and {own.name!r} of the network hang on one place, "
                f"{captured.cuts[own.position].name}; return one of them"
            )
        hung[own.position] = own.name
    return tuple(hung)


def _evenly(captured: Captured, count: int) -> tuple[int, ...]:
    chosen: list[FoundCut] = []
    for number in range(1, count + 1):
        wanted = captured.macs * number / (count + 1)
        # A second branch after a mere activation says nothing new: operations lie between any two.
        spent = {cut.macs for cut in chosen}
        free = [cut for cut in _places(captured) if cut.macs not in spent]
        chosen.append(min(free, key=lambda cut: _unfitness(cut, wanted)))
    return tuple(sorted(cut.position for cut in chosen))


def _places(captured: Captured) -> list[FoundCut]:
    return [cut for cut in captured.cuts[1:-1] if cut.split and 0 < cut.macs <= _LATEST * captured.macs]


def _room(captured: Captured) -> int:
    return len({cut.macs for cut in _places(captured)})


def _unfitness(cut: FoundCut, wanted: float) -> tuple[float, bool, int, int]:
    return abs(cut.macs - wanted), not cut.natural, cut.name.count("."), -cut.position
