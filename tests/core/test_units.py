import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import SettingsError
from offramp.units import format_bytes, format_rate, format_seconds, parse_bytes, parse_rate, parse_seconds


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_seconds, "20ms", 0.02),
        (parse_seconds, " 1.5 s ", 1.5),
        (parse_seconds, "7µs", 7e-6),
        (parse_seconds, "2min", 120),
        (parse_seconds, "1e-3s", 0.001),
        (parse_bytes, "200kb", 200_000),
        (parse_bytes, "4MiB", 4 << 20),
        (parse_bytes, "1.5kB", 1500),
        (parse_bytes, ".5kb", 500),
        (parse_rate, "2mbit", 2e6),
        (parse_rate, "250 kbit/s", 250e3),
        (parse_rate, "0bit", 0),
    ],
)
def test_people_write_a_number_and_a_unit(parse: Callable[[str], float], text: str, value: float) -> None:
    assert parse(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_seconds, "20"),
        (parse_seconds, "ms"),
        (parse_seconds, ""),
        (parse_seconds, "-1s"),
        (parse_seconds, "5s/s"),
        (parse_seconds, "20mbit"),
        (parse_seconds, "nan s"),
        (parse_seconds, "1e400s"),
        (parse_bytes, "1e400kb"),
        (parse_bytes, "2mbit"),
        (parse_rate, "2mbps"),
        (parse_rate, "2mb"),
        (parse_rate, "fast"),
    ],
)
def test_anything_else_is_refused_with_an_example(parse: Callable[[str], float], text: str) -> None:
    with pytest.raises(SettingsError, match=r"such as|larger than"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (format_seconds(1.2345), "1.23 s"),
        (format_seconds(0.0456), "45.6 ms"),
        (format_seconds(7.89e-6), "7.89 µs"),
        (format_seconds(0.9996), "1.00 s"),
        (format_seconds(0.0009996), "1.00 ms"),
        (format_seconds(2e-9), "0.00200 µs"),
        (format_seconds(0), "0 s"),
        (format_seconds(-0.02), "-20.0 ms"),
        (format_seconds(math.inf), "inf s"),
        (format_bytes(921), "921 B"),
        (format_bytes(16_384), "16.4 kB"),
        (format_bytes(999_900), "1.00 MB"),
        (format_bytes(0), "0 B"),
        (format_rate(2e6), "2.00 Mbit/s"),
        (format_rate(250e3), "250 kbit/s"),
        (format_rate(math.nan), "nan Gbit/s"),
    ],
)
def test_people_read_three_digits_and_a_unit(text: str, expected: str) -> None:
    assert text == expected


@given(st.floats(1e-6, 1e6))
def test_what_is_printed_reads_back_within_half_of_the_last_digit(value: float) -> None:
    assert parse_seconds(format_seconds(value)) == pytest.approx(value, rel=0.0051)


@given(st.floats(1e3, 1e11))
def test_rates_and_sizes_read_back_too(value: float) -> None:
    assert parse_rate(format_rate(value)) == pytest.approx(value, rel=0.0051)
    assert parse_bytes(format_bytes(value)) == pytest.approx(value, rel=0.0051)
