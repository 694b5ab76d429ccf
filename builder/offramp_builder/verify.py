"""The proof, at build time, that an unchanged network answers the same.

At every cut found, in torch:          tail(feature at the cut)           ≡ the original module's logits
At every kept cut, in ONNX Runtime:    tail(head(sample)), batch 1 and 5  ≡ the original module's logits
Every segment, in ONNX Runtime:        feature in ─► feature out, logits  ≡ torch's, the branch's included

≡ means max |a - b| / max |b| ≤ 1e-4. Slices are compared with the original, never only with one another: a captured
graph that is wrong is wrong in every slice alike.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from offramp.bundle.specs import SegmentSpec
from offramp.errors import ModelError
from offramp.runtime.threads import is_configured
from offramp_builder.capture import Captured
from offramp_builder.features import run_to
from offramp_builder.graphs import piece
from offramp_builder.refusals import SAME, largest_difference
from offramp_builder.segments import Branch

ROWS = (1, 5)
"""Batch sizes that are compared: alone, and in company."""

Values = dict[str, Tensor]


def verify_slices(captured: Captured, samples: Tensor) -> None:
    """Compare tail(head(samples)) with the original module at every cut found, in torch.

    Raises:
        ModelError: It differs at a cut; the message names it.
    """
    with torch.no_grad():
        expected = captured.road(samples)
        at = run_to(captured, range(captured.end + 1), samples)
        compare(at[captured.end][0], expected, "the captured graph")
        answers = captured.road.answers(samples)
        for own in captured.own:
            what = f"the network's own exit {own.name!r} at cut {captured.cuts[own.position].name!r}"
            compare(own.network(at[own.position][0]), answers[own.name], what)
        output = [tensor.node for tensor in captured.cuts[-1].tensors]
        for cut in captured.cuts[1:-1]:
            tail = piece(captured.graph, [tensor.node for tensor in cut.tensors], output)
            compare(tail(*at[cut.position])[0], expected, f"the network divided at cut {cut.name!r}")


def verify_segments(
    folder: Path,
    specs: Sequence[SegmentSpec],
    captured: Captured,
    kept: Sequence[int],
    branches: Sequence[Branch],
    samples: Tensor,
) -> None:
    """Compare every segment under `folder` with torch, and every head followed by its tail with the original module.

    Those via bottlenecks are not looked at: they answer otherwise.

    Raises:
        ModelError: One differs; the message names its cuts.
    """
    end = len(kept) - 1
    with torch.no_grad():
        expected = captured.road(samples)
        at = run_to(captured, kept, samples)
        answers = {kept.index(branch.position): answer_of(branch, at[branch.position][:1]) for branch in branches}
    answers[end] = expected
    heads: dict[int, dict[int, tuple[Tensor, ...]]] = {0: {rows: (samples[:rows],) for rows in ROWS}}
    # Heads come first, so that each tail finds what its head yielded.
    for spec in sorted((spec for spec in specs if not spec.via), key=lambda spec: (spec.start, spec.stop)):
        session = open_graph(folder / spec.file)
        outputs = run_graph(session, at[kept[spec.start]])
        names = [captured.cuts[kept[index]].name for index in (spec.start, spec.stop)]
        what = f"the segment from cut {names[0]!r} to cut {names[1]!r}{' with its branch' * spec.branch}"
        _compare_segment(outputs, spec, at[kept[spec.stop]], answers, end, what)
        if spec.start == 0 and spec.stop < end and spec.stop not in heads:
            heads[spec.stop] = {
                rows: tuple(
                    value for name, value in run_graph(session, heads[0][rows]).items() if name.startswith("feature_")
                )
                for rows in ROWS
            }
        if spec.stop == end:
            for rows in ROWS:
                found = run_graph(session, heads[spec.start][rows])["logits"]
                compare(found, expected[:rows], f"the network divided at cut {names[0]!r}, batch of {rows},")


def _compare_segment(
    outputs: Values, spec: SegmentSpec, feature: tuple[Tensor, ...], answers: Mapping[int, Tensor], end: int, what: str
) -> None:
    if spec.stop < end:
        for index, tensor in enumerate(feature):
            compare(outputs[f"feature_{index}_out"], tensor, what)
    if spec.branch or spec.stop == end:
        compare(outputs["logits"], answers[spec.stop], what)
        scores = outputs["scores"]
        if not bool(((scores >= 0) & (scores <= 1)).all()):
            raise ModelError(
                f"{what} yields scores outside [0, 1]: {scores.tolist()}; check its logits and temperature"
            )


def answer_of(branch: Branch, feature: tuple[Tensor, ...]) -> Tensor:
    """The logits of a branch."""
    answer = branch.network.eval()(*feature)
    logits: Tensor = answer[0] if isinstance(answer, tuple) else answer
    return logits


def compare(found: Tensor, expected: Tensor, what: str) -> None:
    """
    Raises:
        ModelError: They differ; the message begins with `what`.
    """
    difference = largest_difference(found, expected)
    if difference > SAME:
        raise ModelError(
            f"{what} does not answer as the original does: they differ by {difference:.1e} of the largest value, "
            f"{SAME:.0e} is allowed; keep other cuts, or report the network as one that is divided wrongly"
        )


def open_graph(path: Path) -> onnxruntime.InferenceSession:
    """A segment, for a few runs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is raised, and said once
    # A few runs each: spinning threads and long optimisation would cost more than they save.
    options.use_per_session_threads = not is_configured()
    if options.use_per_session_threads:
        options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common type but this
        raise ModelError(f"ONNX Runtime cannot open {path.name}: {error}") from error


def run_graph(session: onnxruntime.InferenceSession, feature: tuple[Tensor, ...]) -> Values:
    """All its outputs, by name."""
    given: dict[str, np.ndarray] = {f"feature_{index}": tensor.numpy() for index, tensor in enumerate(feature)}
    names = [output.name for output in session.get_outputs()]
    try:
        values = session.run(names, given)
    except Exception as error:  # as above
        shapes = [tuple(tensor.shape) for tensor in feature]
        raise ModelError(f"ONNX Runtime cannot run a segment on {shapes}: {error}") from error
    return {name: torch.from_numpy(value) for name, value in zip(names, values, strict=True)}
