"""Which networks cannot be divided, and how to say so: where it is, what was expected, and the way out.

# N samples, K classes
"""

import traceback
from pathlib import Path

import torch
from torch import SymInt, Tensor, nn
from torch.export import ExportedProgram

from offramp.errors import ModelError

SAME = 1e-4
"""Largest |a - b| / largest |b| at which two answers count as the same (float32 sums in another order)."""

_TORCH = Path(torch.__file__).parent


def largest_difference(a: Tensor, b: Tensor) -> float:
    """The largest |a - b| over the largest |b|; infinite when the shapes differ or a value is not a number."""
    if a.shape != b.shape:
        return float("inf")
    difference = (a.double() - b.double()).abs().max() / b.double().abs().max().clamp_min(1e-12)
    return float(difference) if bool(torch.isfinite(difference)) else float("inf")


def check_answers(road: nn.Module, samples: Tensor) -> Tensor:
    """The logits of a few samples [N, K], once it is sure that they depend on nothing but the sample.

    Raises:
        ModelError: The output is not [N, K] with K ≥ 2, is not a number, changes from run to run, or depends on the
            other samples of the batch.
    """
    with torch.no_grad():
        try:
            logits_NK: Tensor = road(samples)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(
                f"the network cannot take a batch of {tuple(samples.shape)} {samples.dtype}{_place(error)}: "
                f"{_first_line(error)}; check the shape and kind of the sample"
            ) from error
        _check_shape(logits_NK, len(samples))
        if largest_difference(road(samples), logits_NK) > SAME:
            raise ModelError(
                "two runs on the same samples differ; the network draws random numbers or keeps a state between "
                "calls: make it depend on its input alone (dropout through nn.Dropout, which eval() switches off)"
            )
        try:
            alone = torch.cat([road(samples[row : row + 1]) for row in range(len(samples))])
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise ModelError(
                f"the network takes a batch of {len(samples)} but not of 1{_place(error)}: {_first_line(error)}; "
                f"replace squeeze() by flatten(1), so that a batch of one stays a batch"
            ) from error
    if alone.shape != logits_NK.shape:
        raise ModelError(
            f"one sample at a time the network returns {tuple(alone.shape)}, together {tuple(logits_NK.shape)}; "
            f"replace squeeze() by flatten(1), so that a batch of one stays a batch"
        )
    if largest_difference(alone, logits_NK) > SAME:
        raise ModelError(
            "the answer to a sample depends on the others of its batch, but devices share batches at the edge; "
            "normalise over each sample, never over dimension 0"
        )
    return logits_NK


def check_graph(program: ExportedProgram) -> None:
    """Refuse what traces but cannot be divided.

    Raises:
        ModelError: The network writes into its own buffers, or the size of a tensor depends on the data.
    """
    written = list(program.graph_signature.buffers_to_mutate.values())
    if written:
        raise ModelError(
            f"the network writes into its buffer {written[0].removeprefix('model.')!r} while it runs, so that answers "
            f"depend on earlier samples; compute it in forward, or freeze it"
        )
    for node in program.graph.nodes:
        sizes = list(node.meta["val"].shape) if isinstance(node.meta.get("val"), Tensor) else [node.meta.get("val")]
        for size in sizes:
            if isinstance(size, SymInt) and any(str(symbol).startswith("u") for symbol in size.node.expr.free_symbols):
                raise ModelError(
                    f"the size of a tensor depends on the data{_module(node)}, at {node.target}; keep shapes fixed: "
                    f"multiply by a mask instead of selecting with it, and use torch.where instead of nonzero"
                )


def explain(error: Exception) -> ModelError:
    """What a failure of torch.export means to the one who wrote the network."""
    if isinstance(error, ModelError):
        return error
    kind, text = type(error).__name__, str(error)
    where = _place(error)
    if "DataDependent" in kind or "data-dependent" in text or "PendingUnbacked" in kind:
        return ModelError(
            f"the network decides by the values of a tensor{where}: {_first_line(error)}; a graph has no such "
            f"branch: compute both sides and choose with torch.where, or leave the decision to an exit branch"
        )
    if "ConstraintViolation" in kind or "specialized" in text or "Constraints violated" in text:
        return ModelError(
            f"the network fixes the batch size{where}: {_first_line(error)}; write -1 or x.shape[0] instead of a "
            f"number in view, reshape and expand"
        )
    return ModelError(f"torch.export cannot trace the network{where}: {kind}: {_first_line(error)}")


def _check_shape(logits: Tensor, count: int) -> None:
    if logits.ndim != 2 or len(logits) != count or not logits.is_floating_point():
        raise ModelError(
            f"the network returns {logits.dtype} {tuple(logits.shape)} for {count} samples instead of logits [N, K]; "
            f"only classifiers can be built: flatten or pool its output first"
        )
    if logits.shape[1] < 2:
        raise ModelError(
            "the network returns one logit per sample; an exit needs at least two classes to compare: return "
            "[N, 2], for instance cat([-x, x], 1) for a sigmoid output x"
        )
    if not bool(torch.isfinite(logits).all()):
        raise ModelError("the network returns values that are not numbers; check its weights and the sample's range")


def _place(error: BaseException) -> str:
    """` in net.py, line 12 (if x.sum() > 0:)`: the deepest line that is not torch's own."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _TORCH not in Path(frame.filename).parents and not _is_ours(frame.filename)]
    if not own:
        return ""
    line = f" ({own[-1].line})" if own[-1].line else ""
    return f" in {Path(own[-1].filename).name}, line {own[-1].lineno}{line}"


def _is_ours(filename: str) -> bool:
    return Path(filename).parent == Path(__file__).parent or filename.startswith("<")


def _module(node: torch.fx.Node) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = stack[-1][0].removeprefix("model.") if stack else ""
    return f" in module {path!r}" if path else ""


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
