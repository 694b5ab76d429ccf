"""A trace drawn in the terminal with block characters.

5.28 Mbit/s ┤    ▂█▅       mean rate of each column
            ┤ ▃▇▇███▆▂
          0 ┼──────×───    × a column that is out for half its time or more
            0 s      60 s
"""

import numpy as np

from offramp.units import Seconds, format_rate, format_seconds
from offramp_evaluation.traces.operations import resample
from offramp_evaluation.traces.trace import Trace

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def draw_blocks(trace: Trace, *, width: int = 72, height: int = 6) -> str:
    """`height` rows and `width` columns of blocks, with the axes around them; the top is the largest column."""
    columns = resample(trace, Seconds(trace.duration / width))
    peak = float(columns.rate_T.max())
    eighths = np.rint(columns.rate_T / peak * height * 8).astype(int) if peak > 0 else np.zeros(width, dtype=int)
    # A column in which something moved is never drawn as nothing.
    eighths = np.where((columns.rate_T > 0) & (eighths == 0), 1, eighths)
    labels = {0: format_rate(peak), height: "0"}
    margin = max(map(len, labels.values()))
    rows = []
    for row in range(height):
        level = np.clip(eighths - (height - 1 - row) * 8, 0, 8)
        rows.append(f"{labels.get(row, ''):>{margin}} ┤" + "".join(_EIGHTHS[item] for item in level))
    axis = "".join("×" if share >= 0.5 else "─" for share in _outage_share(trace, columns))
    rows.append(f"{labels[height]:>{margin}} ┼{axis}")
    end = format_seconds(trace.duration)
    rows.append(f"{'':{margin}} 0 s{end:>{width - 2}}")
    return "\n".join(row.rstrip() for row in rows)


def _outage_share(trace: Trace, columns: Trace) -> list[float]:
    """Share of each column's time in which nothing arrives."""
    dark = np.append(0.0, np.cumsum(np.where(trace.up, 0.0, trace.lengths)))
    shares: list[float] = (np.diff(np.interp(columns.edges, trace.edges, dark)) / columns.lengths).tolist()
    return shares
