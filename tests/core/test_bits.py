import numpy as np
import pytest

from offramp.codecs.bits import BitPacker, Levels, packed_size, unpack_bits

BITS = (2, 3, 4, 6, 8)
COUNTS = (1, 7, 8, 9, 64, 100)


def levels_of(bits: int, count: int) -> Levels:
    return np.random.default_rng(count).integers(0, 2**bits, count, dtype=np.uint8)


def written_down(levels_n: Levels, bits: int) -> bytes:
    """One level behind the other, the lowest bit first."""
    number = sum(int(level) << bits * place for place, level in enumerate(levels_n))
    return number.to_bytes(packed_size(len(levels_n), bits), "little")


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("count", COUNTS)
def test_levels_lie_one_behind_the_other_the_lowest_bit_first(bits: int, count: int) -> None:
    packer, levels_n = BitPacker(count, bits), levels_of(bits, count)
    packer.levels_n[:] = levels_n
    assert packer.pack().tobytes() == written_down(levels_n, bits)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("count", COUNTS)
def test_fewer_levels_are_packed_as_if_there_had_never_been_more(bits: int, count: int) -> None:
    packer, levels_n = BitPacker(max(COUNTS), bits), levels_of(bits, count)
    packer.levels_n[:] = 2**bits - 1
    packer.levels_n[:count] = levels_n
    assert packer.pack(count).tobytes() == written_down(levels_n, bits)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("count", COUNTS)
def test_levels_come_back(bits: int, count: int) -> None:
    levels_n = levels_of(bits, count)
    assert np.array_equal(unpack_bits(written_down(levels_n, bits), count, bits), levels_n)
