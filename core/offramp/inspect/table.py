"""Plain text tables: what a board without rich can print."""

from collections.abc import Sequence

GAP = "  "


def format_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Columns as wide as their widest cell, under their headers; those in `right` are aligned to the right."""
    lines = [tuple(headers), *(tuple(row) for row in rows)]
    assert all(len(line) == len(headers) for line in lines), lines
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("─" * width for width in widths))
    return "\n".join(
        GAP.join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def format_pairs(pairs: Sequence[tuple[str, str]]) -> str:
    """One `name  value` a line, the values under each other."""
    width = max((len(name) for name, _ in pairs), default=0)
    return "\n".join(f"{name:{width}}{GAP}{value}".rstrip() for name, value in pairs)
