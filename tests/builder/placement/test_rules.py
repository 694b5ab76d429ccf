"""Where branches hang by a rule: EENets' cumulative operations, stages, even spacing."""

import pytest

from offramp.bundle.specs import TensorSpec
from offramp.errors import ModelError
from offramp_builder.cuts import FoundCut, FoundTensor
from offramp_builder.placement.rules import by_rule

MACS = 1_000
# ResNet-20's places: the stem, then inside and after each of nine blocks; shares of its operations in thousandths.
INSIDE = (69, 184, 300, 387, 505, 621, 708, 827, 942)
AFTER = (126, 242, 358, 448, 563, 679, 769, 884, 1000)


def places() -> list[FoundCut]:
    pairs = [pair for both in zip(INSIDE, AFTER, strict=True) for pair in zip(both, (False, True), strict=True)]
    return [
        FoundCut(
            position=position,
            name=f"at {macs}",
            tensors=(FoundTensor(node=f"n{macs}", spec=TensorSpec(shape=_shape(macs), dtype="float32")),),
            macs=macs,
            natural=True,
            activation=True,
            split=split,
        )
        for position, (macs, split) in enumerate([(11, True), *pairs], start=1)
    ]


def _shape(macs: int) -> tuple[int, ...]:
    return (16, 32, 32) if macs <= 358 else (32, 16, 16) if macs <= 679 else (64, 8, 8)


def done_before(rule: str) -> list[int]:
    """Thousandths of the operations before each exit."""
    found = places()
    by_position = {cut.position: cut.macs for cut in found}
    return [by_position[position] for position in by_rule(found, MACS, rule)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("fine:3", [126, 242, 358]),  # targets 50, 98, 143: a block takes one exit at most
        ("pareto:3", [242, 448, 563]),  # targets 200, 360, 488
        ("linear:3", [358, 563, 769]),  # targets 250, 500, 750
        ("golden:3", [242, 448, 679]),  # targets 236, 382, 618
        ("stages", [358, 679]),
        ("even:3", [242, 505, 769]),  # targets 250, 500, 750: inside a block too
    ],
)
def test_exits_hang_where_the_rule_says(rule: str, expected: list[int]) -> None:
    assert done_before(rule) == expected


def test_where_blocks_run_out_exits_move_back_to_those_that_are_free() -> None:
    assert done_before("linear:9") == [126, 242, 358, 448, 563, 679, 769, 884, 1000]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("pareto", "says not how many; write pareto:3"),
        ("linear:99", "there are 10 places"),
        ("pareta:3", "did you mean 'pareto'"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused_with_the_way_out(rule: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        done_before(rule)
