"""Where branches hang when nobody names a place: evenly by operations.

operations  0 ─────────┼─────────┼───────── all        two branches: near one third, near two thirds
"""

from offramp.errors import ModelError
from offramp_builder.capture import Captured
from offramp_builder.cuts import FoundCut

AUTO = 2
_LATEST = 0.95
"""Share of the operations: who has gone so far may as well go on to the end."""


def place_branches(captured: Captured, request: str) -> tuple[int, ...]:
    """Positions for `auto`, `none`, a number of branches, or names (or positions) of cuts between commas.

    Raises:
        ModelError: A name that no cut has, a cut where no branch can hang, or more branches than there are places.
    """
    request = request.strip()
    if request in ("none", "0"):
        return ()
    if request == "auto":
        return _evenly(captured, min(AUTO, _room(captured)))
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
    return [cut for cut in captured.cuts[1:-1] if 0 < cut.macs <= _LATEST * captured.macs]


def _room(captured: Captured) -> int:
    return len({cut.macs for cut in _places(captured)})


def _unfitness(cut: FoundCut, wanted: float) -> tuple[float, bool, int, int]:
    return abs(cut.macs - wanted), not cut.natural, cut.name.count("."), -cut.position
