"""What a record holds, as rows of a table: one policy on one kind of branch, over all seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.exits.contest import is_temporal

Score = Mapping[str, Any]
"""One policy on one seed, as `contest.Score` is recorded."""

# Student's t at 97.5 %, by degrees of freedom.
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A mean over seeds, and half of its 95 % interval; nan of one seed."""

    mean: float
    half: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        mean = sum(values) / len(values)
        if len(values) < 2:
            return cls(mean=mean, half=math.nan)
        variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
        return cls(mean=mean, half=_T[min(len(values) - 1, max(_T))] * math.sqrt(variance / len(values)))

    def shown(self, digits: int = 1) -> str:
        """In per cent."""
        half = "" if math.isnan(self.half) else f" ± {100 * self.half:.{digits}f}"
        return f"{100 * self.mean:.{digits}f}{half}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One policy over all seeds."""

    policy: str
    kind: str
    """Of the branches; empty where a record does not say."""
    operations: Spread
    measures: Mapping[str, Spread]
    losses: Spread
    leave: Mapping[str, float]
    """Share of the samples that leave at each cut, on average over seeds."""
    error: Spread
    matched: Spread | None
    """Operations at which exactly what is accepted is lost; None where that was not asked."""
    within: bool
    """Whether it lost no more than the task accepts, on average."""

    @property
    def lost(self) -> float:
        return self.losses.mean

    @property
    def title(self) -> str:
        """Policy and kind of branch."""
        return f"{self.policy} on {self.kind}" if self.kind else self.policy


def rows_of(contests: Sequence[Sequence[Mapping[str, Any]]], drop: float, kind: str = "") -> list[Row]:
    """By policy, the scores of all seeds in one; the policies that every seed has, in their order."""
    by_seed = [{name_of(score["policy"]): score for score in scores} for scores in contests]
    common = [policy for policy in by_seed[0] if all(policy in scores for scores in by_seed)]
    return [_row(policy, kind, [scores[policy] for scores in by_seed], drop) for policy in common]


def rows_of_kinds(record: Mapping[str, Any]) -> list[Row]:
    """Of the kinds of branch beside the first, on the same network."""
    by_kind = (rows_of([seed["scores"] for seed in seeds], record["drop"], kind) for kind, seeds in _kinds(record))
    return [row for rows in by_kind for row in rows if row.policy != "none"]


def rows_apart(record: Mapping[str, Any]) -> dict[str, list[Row]]:
    """By name, those of every network that was trained together with its branches; the first is it without exits."""
    apart = record["apart"].items()
    return {name: rows_of([one["scores"]], record["drop"], one.get("kind", "")) for name, one in apart}


def _kinds(record: Mapping[str, Any]) -> Iterable[tuple[str, Sequence[Mapping[str, Any]]]]:
    """Those beside the first, with their contests."""
    found: Mapping[str, Sequence[Mapping[str, Any]]] = record.get("kinds", {})
    return found.items()


def best_of(rows: Sequence[Row]) -> Row:
    """The fewest operations among those that lost no more than is accepted; of all, where each lost more."""
    return min([row for row in rows if row.within] or rows, key=lambda row: row.operations.mean)


def at_equal_loss(rows: Sequence[Row]) -> tuple[Row, Spread] | None:
    """The fewest operations where exactly what is accepted is lost on test samples; None where that was not asked.

    A rule that was tuned to lose so much may lose more on other samples, and is then no match for one that lost less.
    """
    known = [(row, row.matched) for row in rows if row.matched]
    return min(known, key=lambda pair: pair[1].mean, default=None)


def rivals(rows: Sequence[Row], *, temporal: bool) -> list[Row]:
    """The policies that look at the stream, or those that do not; the network without exits is one of these."""
    return [row for row in rows if _looks_back(row.policy) is temporal]


def chosen_by_seed(record: Mapping[str, Any]) -> tuple[list[Score], list[Score], list[Score]]:
    """What calibration samples choose on each seed: instance policies, temporal ones, and those without order; as many
    seeds as were shuffled.
    """
    pairs = list(zip(record["seeds"], record["shuffled"], strict=False))
    instance, temporal = ([_cheapest(seed["scores"], temporal=which) for seed, _ in pairs] for which in (False, True))
    return instance, temporal, [_cheapest(mixed, temporal=True) for _, mixed in pairs]


def _cheapest(scores: Sequence[Score], *, temporal: bool) -> Score:
    some = [score for score in scores if _looks_back(score["policy"]) is temporal]
    return min(some, key=lambda score: float(score["tuned_operations"]))


def _looks_back(policy: str) -> bool:
    """Of two policies, the one that stands over the other."""
    return policy != "none" and is_temporal(policy.partition("+")[0])


def _row(policy: str, kind: str, scores: Sequence[Mapping[str, Any]], drop: float) -> Row:
    measures = {name: Spread.of([one["measures"][name] for one in scores]) for name in scores[0]["measures"]}
    cuts = sorted({cut for one in scores for cut in one["leave"]}, key=int)
    losses = Spread.of([one["lost"] for one in scores])
    matched = [one["matched"] for one in scores if one.get("matched") is not None]
    return Row(
        policy=policy,
        kind=kind,
        operations=Spread.of([one["operations"] for one in scores]),
        measures=measures,
        losses=losses,
        leave={cut: sum(one["leave"].get(cut, 0.0) for one in scores) / len(scores) for cut in cuts},
        error=Spread.of([one["error"] for one in scores]),
        matched=Spread.of(matched) if len(matched) == len(scores) else None,
        within=losses.mean <= drop,
    )


def name_of(policy: str) -> str:
    """What is the same for all seeds: over which instance policy a temporal one stands may differ."""
    return f"{policy.partition('+')[0]}+instance" if "+" in policy else policy
