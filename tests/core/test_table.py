from offramp.inspect.show import format_count
from offramp.inspect.table import format_pairs, format_table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert format_table(("cut", "name"), [("0", "input"), ("12", "b")], right=(0,)).splitlines() == [
        "cut  name",
        "───  ─────",
        "  0  input",
        " 12  b",
    ]


def test_a_table_without_rows_shows_its_headers() -> None:
    assert format_table(("a", "bc"), []) == "a  bc\n─  ──"


def test_values_stand_under_each_other() -> None:
    assert format_pairs([("a", "1"), ("long", ""), ("b", "2")]) == "a     1\nlong\nb     2"


def test_counts_have_three_digits() -> None:
    assert [format_count(value) for value in (7, 921, 16_384, 1_200_000, 3.4e9)] == [
        "7", "921", "16.4 k", "1.2 M", "3.4 G"
    ]  # fmt: skip
