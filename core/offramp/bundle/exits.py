"""What exits would be worth at every place of a network: the attachment `exits.json`, written by a search for the best.

    branch on every activation ─► accuracy, who leaves, seconds ─► sets of them ─► the one that the bundle has

Accuracies and shares are those of the calibration split, seconds medians at batch 1 on the host that searched.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from offramp.bundle.jsonform import from_json, to_json
from offramp.bundle.store import Bundle, write_manifest
from offramp.errors import BundleError

EXITS = "exits.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPoint:
    """A place where a branch was tried, and what it is worth there if it is the only one."""

    name: str
    """Of the cut."""
    split: bool
    """False inside a block."""
    macs: int
    """Operations of one sample up to here, without branches."""
    accuracy: float
    """Of the branch alone, in [0, 1]."""
    threshold: float | None
    """The most lenient one within the accuracy budget; None where there is none that pays."""
    leaves: float
    """Share of the samples that leaves there then."""
    trunk: float
    """Seconds from the sample to here."""
    branch: float
    """Seconds that the branch takes, the policy's decision included."""
    added: float
    """Seconds more for who is asked here and stays: the branch, and stopping for it."""
    mean: float
    """Seconds of an average sample, with this exit alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitSet:
    """Some of these places together, with thresholds tuned within the same budget."""

    name: str
    """How it came about: `searched`, `none`, `even:3`, …"""
    points: tuple[str, ...]
    """Names of cuts, in order."""
    thresholds: tuple[float | None, ...]
    """Of each; None: nobody leaves there."""
    leaves: tuple[float, ...]
    """Share of all samples that leaves at each."""
    accuracy: float
    """Of all samples, those that stay to the end included."""
    mean: float
    """Seconds of an average sample, from the times of its points."""

    def reach(self) -> tuple[float, ...]:
        """Share of the samples that comes to each point, and to the end."""
        left = 0.0
        shares = [1.0]
        for share in self.leaves:
            left += share
            shares.append(max(0.0, 1.0 - left))
        return tuple(shares)

    def in_use(self) -> "ExitSet":
        """Without the points at which nobody leaves: a plan does not ask them."""
        used = [place for place, threshold in enumerate(self.thresholds) if threshold is not None]
        return replace(
            self,
            points=tuple(self.points[place] for place in used),
            thresholds=tuple(self.thresholds[place] for place in used),
            leaves=tuple(self.leaves[place] for place in used),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitTable:
    """All places and the sets that were compared."""

    kind: str
    """Of branch."""
    policy: str
    drop: float
    """Accuracy that exits may cost: points of [0, 1]."""
    samples: int
    """Of the calibration split, that judged."""
    host: str
    full_accuracy: float
    """Of the whole network on them."""
    full_seconds: float
    """Of the whole network, in one piece."""
    macs: int
    points: tuple[ExitPoint, ...]
    sets: tuple[ExitSet, ...]
    """The chosen one first."""
    expected: float | None = None
    """Seconds of an average sample with the chosen set, from the times of the very segments that it runs."""

    @property
    def chosen(self) -> ExitSet:
        return self.sets[0]


def exit_rule_text(table: ExitTable, names: Sequence[str]) -> str:
    """The plan that follows the chosen set on a device that sends nothing; `names` are those of the bundle's cuts."""
    pairs = zip(table.chosen.points, table.chosen.thresholds, strict=True)
    asked = [f"{threshold:g}@{names.index(point)}" for point, threshold in pairs if threshold is not None]
    return f"split=end, exit={table.policy}:{'/'.join(asked)}" if asked else "split=end"


def write_exits(bundle: Bundle, table: ExitTable) -> None:
    """Attach the table, or put it in the place of an older one."""
    text = json.dumps(to_json(table), indent=1, ensure_ascii=False)
    Path(bundle.file(EXITS)).write_text(f"{text}\n", encoding="utf-8")
    write_manifest(bundle.path, bundle.manifest)


def read_exits(bundle: Bundle) -> ExitTable:
    """
    Raises:
        BundleError: No search was made for this bundle, or the file is malformed.
    """
    path = bundle.file(EXITS)
    if not path.is_file():
        raise BundleError(
            f"{bundle.path} has no {EXITS}: its branches were not searched for; build it with --branches search"
        )
    try:
        return from_json(ExitTable, json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise BundleError(f"{path} is not JSON ({error}); build the bundle again") from error
