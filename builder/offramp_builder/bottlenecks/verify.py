"""The proof, at build time, that the segments via bottlenecks answer as their modules do in torch.

head, ends in the code     ≡  encoder(feature at the cut)
tail, begins with it       ≡  tail(decoder(code)), and the branches of the network's own tail
tail(head(sample))         ≡  the same in torch, batch 1 and 5
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from offramp.bundle.specs import SegmentSpec
from offramp_builder.bottlenecks.bottleneck import Bottleneck
from offramp_builder.bottlenecks.layers import as_tuple
from offramp_builder.capture import Captured
from offramp_builder.features import CutFeatures, run_to
from offramp_builder.graphs import piece
from offramp_builder.segments import Branch
from offramp_builder.verify import ROWS, answer_of, compare, open_graph, run_graph


def verify_detours(
    folder: Path,
    specs: Sequence[SegmentSpec],
    captured: Captured,
    kept: Sequence[int],
    branches: Sequence[Branch],
    bottlenecks: Sequence[Bottleneck],
    samples: Tensor,
) -> None:
    """Compare every segment under `folder` that leads via a bottleneck with torch.

    Raises:
        ModelError: One differs; the message names it.
    """
    if not bottlenecks:
        return
    with torch.no_grad():
        at = run_to(captured, kept, samples)
        for bottleneck in bottlenecks:
            mine = [spec for spec in specs if spec.via == bottleneck.name]
            _verify(folder, mine, captured, kept, branches, bottleneck, at)


def _verify(
    folder: Path,
    specs: Sequence[SegmentSpec],
    captured: Captured,
    kept: Sequence[int],
    branches: Sequence[Branch],
    bottleneck: Bottleneck,
    at: CutFeatures,
) -> None:
    cut, end = list(kept).index(bottleneck.position), len(kept) - 1
    code = bottleneck.encoder.eval()(*at[bottleneck.position])
    answers = _answers(captured, kept, branches, bottleneck, code)
    codes: dict[int, Tensor] = {}
    for spec in specs:
        session = open_graph(folder / spec.file)
        what = f"the segment from cut {spec.start} to cut {spec.stop} via the bottleneck {bottleneck.name}"
        if spec.stop == cut:
            compare(run_graph(session, at[kept[spec.start]])["feature_0_out"], code, what)
            if spec.start == 0:
                sample = at[kept[0]][0]
                codes = {rows: run_graph(session, (sample[:rows],))["feature_0_out"] for rows in ROWS}
            continue
        compare(run_graph(session, (code,))["logits"], answers[spec.stop], what)
        if spec.stop == end:
            for rows, found in codes.items():
                logits = run_graph(session, (found,))["logits"]
                compare(logits, answers[end][:rows], f"the network via the bottleneck {bottleneck.name}")


def _answers(
    captured: Captured, kept: Sequence[int], branches: Sequence[Branch], bottleneck: Bottleneck, code: Tensor
) -> Mapping[int, Tensor]:
    """By cut, what torch says of these codes at its branch, or at the end."""
    end = len(kept) - 1
    decoded = as_tuple(bottleneck.decoder.eval()(code))
    if bottleneck.tail is not None:
        return {end: as_tuple(bottleneck.tail.eval()(*decoded))[0]}
    start = [tensor.node for tensor in captured.cuts[bottleneck.position].tensors]

    def reached(position: int) -> tuple[Tensor, ...]:
        stop = [tensor.node for tensor in captured.cuts[position].tensors]
        return tuple(piece(captured.graph, start, stop)(*decoded))

    past = [branch for branch in branches if branch.position > bottleneck.position]
    answers = {list(kept).index(branch.position): answer_of(branch, reached(branch.position)[:1]) for branch in past}
    return {**answers, end: reached(captured.end)[0]}
