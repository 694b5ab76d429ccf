"""Which of the cuts found are kept: at each, a plan can split or a branch can hang. Inside blocks only branches are.

operations  0 ────────────────────────────────────────── all
│      ·  ·   │    ·      │  ·    ·    │ ·
stretch 1   stretch 2   stretch 3 …        one cut from each: the smallest feature in it
"""

from collections.abc import Collection, Sequence

from offramp.errors import ModelError
from offramp_builder.capture import Captured
from offramp_builder.cuts import FoundCut

AUTO = 8
"""Inner cuts that `auto` keeps: with the two ends 10 cuts, and 45 segments without their branches."""
_LEAST_TAIL = 0.01
"""Share of the operations: a split that leaves less than this to the edge saves nothing."""


def choose_cuts(captured: Captured, request: str, branches: Sequence[int] = ()) -> tuple[int, ...]:
    """Positions to keep, in order: always the two ends and the cuts of branches.

    Args:
        captured: The network.
        request: `auto`, `all`, how many inner cuts to keep, or their names (or positions) between commas; one
            position alone is written with a comma behind it.
        branches: Positions where branches hang.

    Raises:
        ModelError: A name that no cut has, or that of one inside a block without a branch, or a number below 0.
    """
    ends = {0, captured.end}
    request = request.strip()
    if request == "all":
        return tuple(sorted({cut.position for cut in captured.cuts if cut.split} | set(branches)))
    if request == "auto":
        return tuple(sorted(ends | set(spread(captured, AUTO, taken=branches))))
    if request.lstrip("-").isdigit():
        if int(request) < 0:
            raise ModelError(f"cannot keep {request} cuts; give 0 or more, auto, all, or names between commas")
        return tuple(sorted(ends | set(spread(captured, int(request), taken=branches))))
    named = {captured.position(name.strip()) for name in request.split(",") if name.strip()}
    for position in sorted(named - set(branches)):
        cut = captured.cuts[position]
        if not cut.split:
            raise ModelError(
                f"{len(cut.tensors)} tensors are alive at {cut.name!r}, inside a block: a branch can hang there, named "
                f"among --branches, but no plan splits there; keep a cut before or after it"
            )
    return tuple(sorted(ends | named | set(branches)))


def spread(captured: Captured, count: int, *, taken: Collection[int] = ()) -> tuple[int, ...]:
    """About `count` inner cuts, evenly by operations: the best one in each of `count` equal stretches.

    A stretch that already holds one of `taken` gives no other; a stretch without any cut gives none. The best cut has
    the smallest feature; among equals it is the outermost, of these one where one would divide by hand, then the last.
    """
    chosen = set(taken)
    worthwhile = [cut for cut in captured.cuts[1:-1] if _is_worthwhile(cut, captured.macs)]
    for stretch in range(count):
        low, high = (captured.macs * (stretch + side) / count for side in (0, 1))
        if any(low < captured.cuts[position].macs <= high for position in taken):
            continue
        inside = [cut for cut in worthwhile if low < cut.macs <= high]
        if inside:
            chosen.add(min(inside, key=_preference).position)
    return tuple(sorted(chosen))


def _is_worthwhile(cut: FoundCut, macs: int) -> bool:
    return cut.split and 0 < cut.macs <= (1 - _LEAST_TAIL) * macs


def _preference(cut: FoundCut) -> tuple[int, int, bool, int]:
    return cut.nbytes, cut.name.count("."), not cut.natural, -cut.position
