"""`--branches search`: a branch on every activation, each trained and timed; the set that saves most is kept.

    every activation ─► branches, in one frozen pass ─► logits of the calibration split ─┐
                                      └► segments, timed at batch 1 ─────────────────────┴► choose ─► ExitTable

# N samples, K classes, E exits
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from offramp.bundle.exits import ExitPoint, ExitSet, ExitTable, write_exits
from offramp.bundle.manifest import SCORES
from offramp.bundle.store import Bundle
from offramp.data.dataset import DataSet
from offramp.data.held_out import to_fit
from offramp.errors import ModelError
from offramp.measure.profile import describe_host
from offramp_builder.branches.catalog import BRANCH_KINDS
from offramp_builder.branches.kind import JointKind
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.branches.training import TrainedExits, train_branches
from offramp_builder.capture import Captured
from offramp_builder.cuts import FoundCut
from offramp_builder.placement.choosing import best_alone, choose
from offramp_builder.placement.rules import EVEN, STAGES, TARGETS, by_rule, exit_points
from offramp_builder.placement.settings import SearchSettings
from offramp_builder.placement.timing import PointTimes, road_seconds, time_points
from offramp_builder.placement.tuning import Said, Tuned, steps_of, tune
from offramp_builder.scores import FusedScores
from offramp_builder.segments import Branch

POLICY = "confidence"
"""Whose thresholds are tuned while sets are compared."""
NONE, SEARCHED = "none", "searched"
_JUDGES = 5_000
"""Calibration samples that sets are compared by: shares are known to 0.7 points then."""

Told = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """All that was found out, before anything is chosen."""

    points: tuple[FoundCut, ...]
    exits: TrainedExits
    """A branch at each point."""
    said: Said
    times: tuple[PointTimes, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Searched:
    """The chosen branches, and the table of all."""

    exits: TrainedExits
    table: ExitTable


def search(
    captured: Captured,
    kind: str,
    *,
    train: DataSet,
    calibration: DataSet,
    settings: SearchSettings,
    branch_settings: BranchSettings | None = None,
    seed: int = 0,
    tell: Told,
) -> Searched:
    """Try every place, and keep the best set.

    Raises:
        ModelError: The kind of branch fits no place.
        UnknownNameError: There is no such kind.
    """

    def trained(positions: Sequence[int]) -> TrainedExits:
        return train_branches(
            captured,
            positions,
            kind,
            train=train,
            calibration=calibration,
            settings=branch_settings,
            seed=seed,
            progress=tell,
        )

    heard = hear(captured, kind, trained, calibration, tell)
    best = choose(heard.said, settings.most, settings.drop, lambda done, total: tell("comparing sets", done, total))
    best = best if best.exits else best_alone(heard.said, settings.drop)
    table = tabulate(captured, heard, best, settings.drop, kind)
    positions = {heard.points[one].position for one in best.exits}
    branches = tuple(branch for branch in heard.exits.branches if branch.position in positions)
    exits = replace(heard.exits, branches=branches)
    if isinstance(BRANCH_KINDS[kind], JointKind):  # what these learn depends on which others there are
        exits = trained(sorted(positions))
    return Searched(exits=exits, table=table)


def hear(
    captured: Captured,
    kind: str,
    trained: Callable[[Sequence[int]], TrainedExits],
    calibration: DataSet,
    tell: Told,
) -> Heard:
    """Train a branch on every activation, and find out what each says and takes."""
    points = tuple(cut for cut in exit_points(captured) if _fits(kind, cut, captured.classes))
    if not points:
        raise ModelError(
            f"no {kind} branch fits any activation of this network; take --branch-kind linear, or name cuts"
        )
    exits = trained([cut.position for cut in points])
    times, full = time_points(captured, exits.branches, POLICY, tell)
    rows = np.flatnonzero(to_fit(calibration.group_N))  # certificates rest on the others, which nobody looks at
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _JUDGES)).astype(np.int64))]
    truth_N = calibration.truth_N[rows]
    logits = [exits.heard[branch.position][rows] for branch in exits.branches]
    said = Said(
        step_EN=np.stack(
            [steps_of(_confidences(branch, one)) for branch, one in zip(exits.branches, logits, strict=True)]
        ),
        wrong_EN=np.stack([_wrong(one, truth_N) for one in logits]),
        wrong_N=_wrong(exits.heard[captured.end][rows], truth_N),
        leave_E=np.array([times[cut.position].leave for cut in points]),
        added_E=np.array([times[cut.position].added for cut in points]),
        full=full,
    )
    return Heard(points=points, exits=exits, said=said, times=tuple(times[cut.position] for cut in points))


def tabulate(captured: Captured, heard: Heard, best: Tuned, drop: float, kind: str) -> ExitTable:
    """What each place is worth alone, and the best set beside those that follow a rule."""
    alone = [tune(heard.said, [one], drop) for one in range(len(heard.points))]
    return ExitTable(
        kind=kind,
        policy=POLICY,
        drop=drop,
        samples=len(heard.said.wrong_N),
        host=describe_host(),
        full_accuracy=heard.said.full_accuracy,
        full_seconds=heard.said.full,
        macs=captured.macs,
        points=tuple(
            ExitPoint(
                name=cut.name,
                split=cut.split,
                macs=cut.macs,
                accuracy=1.0 - float(heard.said.wrong_EN[one].mean()),
                threshold=tuned.thresholds[0],
                leaves=tuned.leaves[0],
                trunk=times.trunk,
                branch=times.leave - times.trunk,
                added=times.added,
                mean=tuned.mean,
            )
            for one, (cut, times, tuned) in enumerate(zip(heard.points, heard.times, alone, strict=True))
        ),
        sets=(as_set(heard, best, SEARCHED), *rivals(captured, heard, len(best.exits), drop)),
    )


def rivals(captured: Captured, heard: Heard, count: int, drop: float) -> tuple[ExitSet, ...]:
    """No exit, one for each stage, and `count` of them by each rule, all with thresholds tuned alike."""
    index = {cut.position: one for one, cut in enumerate(heard.points)}
    found = [as_set(heard, tune(heard.said, [], drop), NONE)]
    for rule in (STAGES, *(f"{name}:{max(1, count)}" for name in (EVEN, *TARGETS))):
        try:
            positions = by_rule(heard.points, captured.macs, rule)
        except ModelError:
            continue  # a network without stages, or with too few places
        found.append(as_set(heard, tune(heard.said, [index[position] for position in positions], drop), rule))
    return tuple(found)


def as_set(heard: Heard, tuned: Tuned, name: str) -> ExitSet:
    return ExitSet(
        name=name,
        points=tuple(heard.points[one].name for one in tuned.exits),
        thresholds=tuned.thresholds,
        leaves=tuned.leaves,
        accuracy=tuned.accuracy,
        mean=tuned.mean,
    )


def attach_exits(bundle: Bundle, table: ExitTable, tell: Told) -> ExitTable:
    """Time the segments that the chosen set really runs, and write `exits.json` into the bundle."""
    names = [cut.name for cut in bundle.manifest.cuts]
    chosen = table.chosen.in_use()
    asked = [names.index(point) for point in chosen.points]
    table = replace(table, expected=road_seconds(bundle, asked, chosen.reach(), table.policy, tell))
    write_exits(bundle, table)
    return table


def _fits(kind: str, cut: FoundCut, classes: int) -> bool:
    return bool(BRANCH_KINDS[kind].variants(cut.tensors[0].spec.shape, classes))


def _confidences(branch: Branch, logits_NK: NDArray[np.float32]) -> NDArray[np.float32]:
    """As the segment will say them."""
    with torch.no_grad():
        scores_NS = FusedScores(logits_NK.shape[1], branch.temperature)(torch.from_numpy(logits_NK))
    confidence_N: NDArray[np.float32] = scores_NS[:, SCORES.index(POLICY)].numpy()
    return confidence_N


def _wrong(logits_NK: NDArray[np.float32], truth_N: NDArray[np.int64]) -> NDArray[np.float64]:
    wrong_N: NDArray[np.float64] = (logits_NK.argmax(axis=1) != truth_N).astype(np.float64)
    return wrong_N
