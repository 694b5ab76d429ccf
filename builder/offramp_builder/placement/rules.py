"""Where branches hang when a rule says so, and nothing is measured.

    even:N                    evenly by operations
    stages                    one at the end of each stage: where the feature's shape changes
    fine:N pareto:N linear:N golden:N
                              EENets' rules (2409.05336): exit i after the first block that has done a share T_i

    T_i, i from 0 to N - 1:   fine 1 - 0.95^(i+1)   pareto 1 - 0.8^(i+1)   linear (i+1) / (N+1)   golden φ^(i-N)

Places are those that `exit_points` gives: every activation, inside blocks too. EENets puts exits between blocks alone.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

from offramp.errors import ModelError
from offramp.registry import unknown
from offramp_builder.capture import Captured
from offramp_builder.cuts import FoundCut

STAGES, EVEN = "stages", "even"
_LATEST = 0.95
"""Share of the operations: who has gone so far may as well go on to the end."""
_GOLDEN = (1 + 5**0.5) / 2

TARGETS: dict[str, Callable[[int, int], float]] = {
    "fine": lambda index, _count: 1 - 0.95 ** (index + 1),
    "pareto": lambda index, _count: 1 - 0.8 ** (index + 1),
    "linear": lambda index, count: (index + 1) / (count + 1),
    "golden": lambda index, count: float(_GOLDEN ** (index - count)),
}
"""EENets' rules: share of the operations before exit `index` of `count`."""
RULES = (EVEN, STAGES, *TARGETS)


def exit_points(captured: Captured) -> list[FoundCut]:
    """Every activation between the input and the output; where a network has none, where one would divide by hand."""
    inner = [cut for cut in captured.cuts[1:-1] if cut.macs > 0]
    return [cut for cut in inner if cut.activation] or [cut for cut in inner if cut.natural and cut.split]


def by_rule(points: Sequence[FoundCut], macs: int, rule: str) -> tuple[int, ...]:
    """Positions for `NAME:N`, or `stages`; `macs` are those of the whole network.

    Raises:
        ModelError: There is no such rule, its number is none, or there are not enough places.
    """
    name, _, number = rule.partition(":")
    if name not in RULES:
        raise ModelError(unknown("rule for branches", name, list(RULES)))
    if name == STAGES:
        return _stages(points, macs)
    if not number.isdigit() or int(number) < 1:
        raise ModelError(f"--branches {rule} says not how many; write {name}:3")
    count = int(number)
    places = _blocks(points) if name in TARGETS else [cut for cut in points if cut.macs <= _LATEST * macs]
    if count > len(places):
        raise ModelError(f"there are {len(places)} places for {rule}, not {count}; ask for fewer")
    if name in TARGETS:
        return _cumulative(places, [macs * TARGETS[name](index, count) for index in range(count)])
    return _nearest(places, [macs * (index + 1) / (count + 1) for index in range(count)])


def is_rule(request: str) -> bool:
    return request.partition(":")[0] in RULES


def _stages(points: Sequence[FoundCut], macs: int) -> tuple[int, ...]:
    between = [cut for cut in points if cut.split]
    ends = [list(group)[-1] for _, group in groupby(between, key=lambda cut: cut.tensors[0].spec.shape)]
    found = tuple(cut.position for cut in ends if 0.05 * macs <= cut.macs <= _LATEST * macs)
    if not found:
        raise ModelError("the feature keeps one shape through the whole network: it has no stages; take even:N")
    return found


def _blocks(points: Sequence[FoundCut]) -> list[FoundCut]:
    return [cut for cut in points if cut.split] or list(points)


def _cumulative(places: Sequence[FoundCut], targets: Sequence[float]) -> tuple[int, ...]:
    """As EENets' code does: a block takes one exit at most, the next one goes to the block after it at the earliest.

    Where the last blocks are too few, exits move back to those that are free.
    """
    chosen: list[int] = []
    for index, target in enumerate(targets):
        left = len(targets) - index
        free = [number for number in range(len(places)) if not chosen or number > chosen[-1]]
        free = free[: len(free) - left + 1]
        chosen.append(next((number for number in free if places[number].macs >= target), free[-1]))
    return tuple(places[number].position for number in chosen)


def _nearest(places: Sequence[FoundCut], targets: Sequence[float]) -> tuple[int, ...]:
    chosen: set[int] = set()
    for target in targets:
        free = [cut for cut in places if cut.position not in chosen]
        chosen.add(min(free, key=lambda cut: (abs(cut.macs - target), -cut.position)).position)
    return tuple(sorted(chosen))
