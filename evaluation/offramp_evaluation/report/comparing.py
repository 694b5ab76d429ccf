"""Two records, or two sweeps, sample by sample.

    runs of A ─┐ paired by what they were made from
    runs of B ─┴► rows paired by name ─► samples paired by stream and index ─► A minus B, with its interval

Blocks of neighbouring samples are the units, since neighbours share the link. Many differences are looked at, so that
each interval is wider: all of them together hold with the confidence that is asked for (Bonferroni).

# N samples of all paired runs
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from offramp.errors import DataError
from offramp_evaluation.metrics.classification import correct
from offramp_evaluation.metrics.comparison import Comparison, compare
from offramp_evaluation.metrics.intervals import CONFIDENCE, MEAN, P95, Statistic, evaluate
from offramp_evaluation.metrics.outcomes import Outcomes, paired
from offramp_evaluation.replay.experiment import BLOCK
from offramp_evaluation.replay.record import decode_samples
from offramp_evaluation.report.records import SAMPLES, Collection, Found
from offramp_evaluation.sweep.rows import axes_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What is compared of each sample."""

    name: str
    statistic: Statistic
    better: Literal["lower", "higher"]
    of: Callable[[Outcomes, float], Floats]
    """[N] from outcomes and the deadline; NaN where nobody knows."""


def _latencies(outcomes: Outcomes, deadline: float) -> Floats:
    """What was rejected counts at the deadline."""
    return np.where(outcomes.label_N >= 0, outcomes.latency_N, deadline)


METRICS = (
    Metric(name="accuracy", statistic=MEAN, better="higher", of=lambda some, _: correct(some.label_N, some.truth_N)),
    Metric(name="mean latency", statistic=MEAN, better="lower", of=_latencies),
    Metric(name="p95 latency", statistic=P95, better="lower", of=_latencies),
    Metric(name="bytes", statistic=MEAN, better="lower", of=lambda some, _: some.wire_N.astype(np.float64)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One metric of one pair of rows."""

    row: str
    against: str
    metric: str
    first: float
    second: float
    runs: int
    samples: int
    comparison: Comparison


def compare_records(
    first: Collection,
    second: Collection,
    *,
    row: str | None = None,
    against: str | None = None,
    confidence: float = CONFIDENCE,
) -> list[Compared]:
    """Every metric of each pair of rows: those of one name, or `row` of the first and `against` of the second.

    Raises:
        DataError: No runs pair up, a row is missing, or two runs are not over the same samples.
    """
    pairs = list(_pairs(first, second))
    names = _names(pairs, row, against)
    each = 1 - (1 - confidence) / (len(names) * len(METRICS))
    samples = [(_samples(one), _samples(other)) for one, other in pairs]
    found = []
    for one, other in names:
        tables = [paired(ours[one], theirs[other]) for ours, theirs in samples]
        for metric in METRICS:
            comparison = _compare(metric, pairs, tables, each)
            if comparison is not None:
                found.append(replace(comparison, row=one, against=other))
    return found


Pairs = Sequence[tuple[Found, Found]]
Tables = Sequence[tuple[Outcomes, Outcomes]]


def _compare(metric: Metric, pairs: Pairs, tables: Tables, confidence: float) -> Compared | None:
    """None where nobody knows: a data set without its truth has no accuracy."""
    both = list(zip(pairs, tables, strict=True))
    first_N = np.concatenate([metric.of(table[0], _deadline(pair[0])) for pair, table in both])
    second_N = np.concatenate([metric.of(table[1], _deadline(pair[1])) for pair, table in both])
    unit_N = np.concatenate([_units(place, pair[0], table[0]) for place, (pair, table) in enumerate(both)])
    known_N = ~np.isnan(first_N) & ~np.isnan(second_N)
    if not known_N.any():
        return None
    first_N, second_N, statistic = first_N[known_N], second_N[known_N], metric.statistic
    return Compared(
        row="",
        against="",
        metric=metric.name,
        first=evaluate(first_N, statistic),
        second=evaluate(second_N, statistic),
        runs=len(pairs),
        samples=len(first_N),
        comparison=compare(
            first_N, second_N, unit_N[known_N], better=metric.better, statistic=statistic, confidence=confidence
        ),
    )


def _pairs(first: Collection, second: Collection) -> Iterator[tuple[Found, Found]]:
    if len(first.found) == len(second.found) == 1:
        yield first.found[0], second.found[0]
        return
    theirs = {tuple(axes_of(one.record).values()): one for one in second.found}
    common = [(one, theirs[key]) for one in first.found if (key := tuple(axes_of(one.record).values())) in theirs]
    if not common:
        count = f"{len(first.found)} and {len(second.found)}"
        raise DataError(
            f"none of {count} runs were made from the same inputs; compare two runs, or two sweeps of one scenario"
        )
    yield from common


def _names(pairs: Pairs, row: str | None, against: str | None) -> list[tuple[str, str]]:
    ours, theirs = ([one["name"] for one in pairs[0][side].record["rows"]] for side in (0, 1))
    if row is None and against is None:
        common = [(name, name) for name in ours if name in theirs]
        if not common:
            raise DataError(f"no row is in both: {', '.join(ours)}, and {', '.join(theirs)}; name --row and --against")
        return common
    wanted = (row or against or "", against or row or "")
    for name, there in zip(wanted, (ours, theirs), strict=True):
        if name not in there:
            raise DataError(f"there is no row {name!r}; there are {', '.join(there)}")
    return [wanted]


def _samples(found: Found) -> Mapping[str, Outcomes]:
    path = found.folder / SAMPLES
    try:
        return decode_samples(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} is not beside its record, and without samples nothing is paired: {error}") from error


def _units(place: int, found: Found, outcomes: Outcomes) -> NDArray[np.str_]:
    block = max(1, round(found.record["inputs"]["rate"] * BLOCK))
    named: list[Any] = [
        f"{place}/{stream}/{index // block}"
        for stream, index in zip(outcomes.stream_N.tolist(), outcomes.index_N.tolist(), strict=True)
    ]
    return np.array(named, np.str_)


def _deadline(found: Found) -> float:
    return float(found.record["inputs"]["deadline"])
