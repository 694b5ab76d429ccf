"""SI units inside, people's units at the rim: parsed once here, printed here.

Inside the program a duration is in seconds, a size in bytes, a rate in bits per second. The three types cost
nothing at run time; mypy keeps them apart.
"""

import math
import re
from typing import NewType

from offramp.errors import SettingsError

Seconds = NewType("Seconds", float)
Bytes = NewType("Bytes", int)
BitsPerSecond = NewType("BitsPerSecond", float)

_QUANTITY = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([a-zA-Zµ]*(?:/s)?)\s*")

_SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "min": 60.0, "m": 60.0, "h": 3600.0}
_BYTES = {"b": 1, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
# Network rates are decimal, as tc and every carrier count them.
# "mbps" is left out: to tc it means megabytes, to carriers megabits.
_BITS = {"bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
_BITS |= {f"{name}/s": size for name, size in _BITS.items()}


def parse_seconds(text: str) -> Seconds:
    """Read a duration such as `20ms`, `1.5s` or `2min`.

    Raises:
        SettingsError: No number, no unit, or a unit that is not one of time.
    """
    return Seconds(_parse(text, _SECONDS, "a duration such as 20ms or 1.5s"))


def parse_bytes(text: str) -> Bytes:
    """Read a size such as `200kb` or `4mib`.

    Raises:
        SettingsError: No number, no unit, or a unit that is not one of size.
    """
    return Bytes(round(_parse(text, _BYTES, "a size such as 200kb or 4mib")))


def parse_rate(text: str) -> BitsPerSecond:
    """Read a rate such as `2mbit` or `250kbit`.

    Raises:
        SettingsError: No number, no unit, or a unit that is not one of bits per second.
    """
    return BitsPerSecond(_parse(text, _BITS, "a rate such as 2mbit or 250kbit"))


def parse_share(text: str) -> float:
    """Read a share such as `95%` or `0.95`.

    Raises:
        SettingsError: No number.
    """
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        value = float(number)
    except ValueError:
        raise SettingsError(f"{text!r} is no share; write one such as 95% or 0.95") from None
    # Rounded, so that 1% is the number that 0.01 is: 1 / 100 is, 7 / 100 is not always.
    return float(f"{value / 100:.12g}") if percent else value


def format_seconds(value: float) -> str:
    """A duration with three significant digits: `1.23 s`, `45.6 ms`, `7.89 µs`."""
    return _format(value, (("s", 1.0), ("ms", 1e-3)), ("µs", 1e-6))


def format_bytes(value: float) -> str:
    """A size with three significant digits: `921 B`, `16.4 kB`, `1.20 MB`."""
    return _format(value, (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)), ("B", 1.0), whole=True)


def format_rate(value: float) -> str:
    """A rate with three significant digits: `2.00 Mbit/s`, `250 kbit/s`."""
    return _format(value, (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)), ("bit/s", 1.0), whole=True)


def _parse(text: str, table: dict[str, float] | dict[str, int], expected: str) -> float:
    found = _QUANTITY.fullmatch(text)
    unit = found.group(2).lower() if found else ""
    if found is None or unit not in table:
        units = ", ".join(name for name in table if "/" not in name)
        raise SettingsError(f"{text!r} is not {expected}; write a number and one of: {units}")
    value = float(found.group(1)) * table[unit]
    if not math.isfinite(value):
        raise SettingsError(f"{text!r} is larger than any number; write {expected}")
    return value


def _format(
    value: float, units: tuple[tuple[str, float], ...], smallest: tuple[str, float], *, whole: bool = False
) -> str:
    """In the largest unit of which there is one at least; in the smallest, `whole` drops the decimals."""
    if not math.isfinite(value):
        return f"{value} {units[0][0]}"
    value = float(f"{value:.2e}")  # rounded first: 999.6 ms are 1.00 s
    for unit, size in units:
        if abs(value) >= size:
            return f"{_three_digits(value / size)} {unit}"
    unit, size = smallest
    if value == 0:
        return f"0 {units[0][0] if not whole else unit}"
    return f"{value:.0f} {unit}" if whole else f"{_three_digits(value / size)} {unit}"


def _three_digits(value: float) -> str:
    decimals = max(0, 2 - math.floor(math.log10(abs(value)) + 1e-9))
    return f"{value:.{decimals}f}"
