"""All segments of a bundle: export every stage, branch and score once, then compose each pair of kept cuts, and what
leads via bottlenecks.

Inside a block a sample only stops to be asked: a segment that ends there has the branch, one that begins there follows
upon it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from offramp.bundle.specs import BottleneckSpec, CutSpec, SegmentSpec
from offramp.bundle.store import WEIGHTS
from offramp.errors import ModelError
from offramp_builder.bottlenecks.bottleneck import Bottleneck
from offramp_builder.bottlenecks.detours import detour_pieces, stage_name, stretches
from offramp_builder.capture import Captured
from offramp_builder.compose import compose
from offramp_builder.export import Piece, export_pieces
from offramp_builder.features import run_to
from offramp_builder.fold import rewrite_for_runtime
from offramp_builder.graphs import piece
from offramp_builder.scores import FusedScores, ScoredBranch
from offramp_builder.weights import WeightFile


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Branch:
    """An exit classifier, ready to ship."""

    position: int
    """Index into `Captured.cuts` of the cut that it hangs on."""
    kind: str
    network: nn.Module
    """See `offramp_builder.scores.BranchNetwork`; in evaluation mode from here on."""
    temperature: float = 1.0
    accuracy: float | None = None
    """Alone, on the calibration split, in [0, 1]; None when untrained."""
    scaling: str = "temperature"
    """As `BranchSpec` has it."""


Wanted = Callable[[int, int, bool], bool]
"""Whether there shall be a segment from one kept cut to another, with the branch there or without."""


def write_segments(
    folder: Path,
    captured: Captured,
    kept: Sequence[int],
    cuts: Sequence[CutSpec],
    branches: Sequence[Branch],
    final_temperature: float,
    *,
    bottlenecks: Sequence[tuple[Bottleneck, BottleneckSpec]] = (),
    wanted: Wanted | None = None,
) -> tuple[SegmentSpec, ...]:
    """Write graph/*.onnx and graph/weights.bin under `folder`; `cuts` describes the cuts at the positions `kept`.

    Unless `wanted` says otherwise, those that a plan can run: inside a block none without its branch.

    Raises:
        ModelError: A stage or a branch has no form in ONNX.
    """
    graph = folder / Path(WEIGHTS).parent
    graph.mkdir()
    weights = WeightFile(Path(WEIGHTS).name)
    end = len(kept) - 1
    pieces = _pieces(captured, kept, branches, final_temperature)
    fragments = export_pieces([*pieces, *detour_pieces(captured, [bottleneck for bottleneck, _ in bottlenecks])])
    answers = {kept.index(branch.position): fragments[_branch(branch)] for branch in branches}
    specs = []
    for start, stop in combinations(range(end + 1), 2):
        for ends_in_branch in (False, True) if stop in answers else (False,):
            if not (wanted(start, stop, ends_in_branch) if wanted else cuts[stop].split or ends_in_branch):
                continue
            name = f"{start}-{stop}{'b' * ends_in_branch}"
            model = compose(
                name=name,
                start=cuts[start],
                stop=cuts[stop],
                stages=[fragments[stage_name(index)] for index in range(start, stop)],
                answer=fragments["scores"] if stop == end else answers[stop] if ends_in_branch else None,
                last=stop == end,
                classes=captured.classes,
                weights=weights,
            )
            file = graph / f"{name}.onnx"
            onnx.save(model, file)
            specs.append(
                SegmentSpec(start=start, stop=stop, branch=ends_in_branch, file=file.relative_to(folder).as_posix())
            )
    for stretch in stretches([spec for _, spec in bottlenecks], cuts, sorted(answers)):
        model = compose(
            name=stretch.name,
            start=stretch.given,
            stop=stretch.left,
            stages=[fragments[name] for name in stretch.fragments],
            answer=fragments["scores"] if stretch.stop == end else answers[stretch.stop] if stretch.branch else None,
            last=stretch.stop == end,
            classes=captured.classes,
            weights=weights,
        )
        file = graph / f"{stretch.name}.onnx"
        onnx.save(model, file)
        specs.append(
            SegmentSpec(
                start=stretch.start,
                stop=stretch.stop,
                branch=stretch.branch,
                file=file.relative_to(folder).as_posix(),
                via=stretch.via,
            )
        )
    weights.write(graph)
    return tuple(specs)


def has_own_confidence(branch: Branch, classes: int, feature: tuple[Tensor, ...]) -> bool:
    """Whether the branch yields a confidence of its own beside its logits.

    Raises:
        ModelError: It yields neither logits [N, K] nor (logits [N, K], confidence [N]).
    """
    with torch.no_grad():
        answer = branch.network.eval()(*feature)
    logits, own = answer if isinstance(answer, tuple) else (answer, None)
    rows = len(feature[0])
    if tuple(logits.shape) != (rows, classes) or (own is not None and tuple(own.shape) != (rows,)):
        shapes = [tuple(tensor.shape) for tensor in (logits, own) if tensor is not None]
        raise ModelError(
            f"the {branch.kind} branch yields {shapes} for {rows} samples; "
            f"it should yield logits {(rows, classes)}, alone or with a confidence {(rows,)}"
        )
    return own is not None


def _pieces(
    captured: Captured, kept: Sequence[int], branches: Sequence[Branch], final_temperature: float
) -> list[Piece]:
    rows = run_to(captured, kept, captured.examples[:1])
    pieces = []
    for index, (start, stop) in enumerate(pairwise(kept)):
        names = [[tensor.node for tensor in captured.cuts[position].tensors] for position in (start, stop)]
        stage = rewrite_for_runtime(piece(captured.graph, *names))
        pieces.append(
            Piece(
                name=stage_name(index),
                description=_between(captured, start, stop),
                module=stage,
                inputs=rows[start],
                outputs=len(names[1]),
            )
        )
    for branch in branches:
        feature = rows[branch.position][:1]
        own = has_own_confidence(branch, captured.classes, feature)
        scored = ScoredBranch(branch.network, captured.classes, branch.temperature, own=own)
        pieces.append(
            Piece(
                name=_branch(branch),
                description=f"the {branch.kind} branch at cut {captured.cuts[branch.position].name!r}",
                module=scored,
                inputs=feature,
                outputs=2,
            )
        )
    final = FusedScores(captured.classes, final_temperature)
    pieces.append(
        Piece(name="scores", description="the scores", module=_InTuple(final), inputs=rows[captured.end], outputs=1)
    )
    return pieces


def _between(captured: Captured, start: int, stop: int) -> str:
    names = [captured.cuts[position].name for position in (start, stop)]
    return f"the stage from cut {names[0]!r} to cut {names[1]!r}"


class _InTuple(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, value: Tensor) -> tuple[Tensor]:
        return (self.module(value),)


def _branch(branch: Branch) -> str:
    return f"branch{branch.position}"
