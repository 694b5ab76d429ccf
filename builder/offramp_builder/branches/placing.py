"""Where branches hang when nobody names a place: evenly by operations.

operations  0 ─────────┼─────────┼───────── all        two branches: near one third, near two thirds
"""

from offramp.errors import ModelError
from offramp_builder.capture import Captured
from offramp_builder.cuts import FoundCut

_LATEST = 0.95
"""Share of the operations: who has gone so far may as well go on to the end."""


def place_branches(captured: Captured, request: str) -> tuple[int, ...]:
    """Positions for `none`, a number of branches, or names (or positions) of cuts between commas.

    Raises:
        ModelError: A name that no cut has, a cut where no branch can hang, or more branches than there are places.
    """
    request = request.strip()
    if request in ("none", "0"):
        return ()
    if request.isdigit():
        return _evenly(captured, int(request))
    named = sorted({captured.position(name.strip()) for name in request.split(",") if name.strip()})
    for position in named:
        if position in (0, captured.end):
            raise ModelError(
                f"a branch cannot hang on {captured.cuts[position].name}; name a cut between the input and the output"
            )
    return tuple(named)


def _evenly(captured: Captured, count: int) -> tuple[int, ...]:
    places = [cut for cut in captured.cuts[1:-1] if 0 < cut.macs <= _LATEST * captured.macs]
    chosen: list[int] = []
    for number in range(1, count + 1):
        wanted = captured.macs * number / (count + 1)
        free = [cut for cut in places if cut.position not in chosen and _differs(cut, captured, chosen)]
        if not free:
            raise ModelError(
                f"there are places for {len(chosen)} branches, not for {count}; ask for fewer, or name cuts"
            )
        chosen.append(min(free, key=lambda cut: _unfitness(cut, wanted)).position)
    return tuple(sorted(chosen))


def _differs(cut: FoundCut, captured: Captured, chosen: list[int]) -> bool:
    """Whether operations lie between it and every chosen one: a second branch after a mere activation says nothing."""
    return all(cut.macs != captured.cuts[position].macs for position in chosen)


def _unfitness(cut: FoundCut, wanted: float) -> tuple[float, bool, int, int]:
    return abs(cut.macs - wanted), not cut.natural, cut.name.count("."), -cut.position
