"""Operators that move numbers about, pick some of them, or reduce them along axes."""

from collections.abc import Sequence
from typing import Any

from offramp.runtime.torch_ops.operator import Function, Node, Operator, always

Sizes = list[int]


def shapes() -> dict[str, Operator]:
    """By name. Needs torch and onnx."""
    import torch
    from onnx import numpy_helper
    from torch import Tensor
    from torch.nn import functional as F  # noqa: N812 - torch's own name for it

    def reshape(node: Node) -> Function:
        zero_is_zero = node.attribute("allowzero", 0)

        def run(x: Tensor, sizes: Sizes) -> Tensor:
            if 0 in sizes and not zero_is_zero:
                sizes = [size or x.shape[index] for index, size in enumerate(sizes)]
            return x.reshape(sizes)

        return run

    def transpose(node: Node) -> Function:
        order = node.attribute("perm")
        return lambda x: x.permute(order or tuple(reversed(range(x.ndim))))

    def flatten(node: Node) -> Function:
        axis = node.attribute("axis", 1)

        def run(x: Tensor) -> Tensor:
            rows = x.shape[:axis].numel()
            return x.reshape(rows, x.numel() // rows)

        return run

    def squeeze(x: Tensor, axes: Sizes | None = None) -> Tensor:
        return x.squeeze() if axes is None else x.squeeze(tuple(axes))

    def unsqueeze(x: Tensor, axes: Sizes) -> Tensor:
        rank = x.ndim + len(axes)
        for axis in sorted(axis % rank for axis in axes):
            x = x.unsqueeze(axis)
        return x

    common_shape: Any = torch.broadcast_shapes

    def expand(x: Tensor, sizes: Sizes) -> Tensor:
        return x.expand(common_shape(x.shape, sizes))

    def concat(node: Node) -> Function:
        axis = node.attribute("axis")
        return lambda *parts: torch.cat(parts, axis)

    def split(node: Node) -> Function:
        axis, count = node.attribute("axis", 0), node.attribute("num_outputs") or node.outputs

        def run(x: Tensor, sizes: Sizes | None = None) -> Sequence[Tensor]:
            # Rounded up: the last part may be smaller.
            return torch.split(x, sizes or -(-x.shape[axis] // count), axis)

        return run

    def slice_(x: Tensor, starts: Sizes, ends: Sizes, axes: Sizes | None = None, steps: Sizes | None = None) -> Tensor:
        for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
            axis, step = (axes[index] if axes else index), (steps[index] if steps else 1)
            taken = range(*slice(start, end, step).indices(x.shape[axis]))
            if step == 1:
                x = x.narrow(axis, taken.start, len(taken))
            else:  # torch knows no negative steps
                x = x.index_select(axis, torch.tensor(list(taken), dtype=torch.int64, device=x.device))
        return x

    def gather(node: Node) -> Function:
        axis, known = node.attribute("axis", 0), node.shapes.get(1)
        if known == ():
            place = int(node.read(1))
            return lambda x, _: x.select(axis, place)

        def run(x: Tensor, places: Tensor) -> Tensor:
            at = axis % x.ndim
            flat = _from_the_end(places, x.shape[at]).reshape(-1)
            return x.index_select(at, flat).reshape(*x.shape[:at], *places.shape, *x.shape[at + 1 :])

        return run

    def scatter(node: Node) -> Function:
        axis, reduction = node.attribute("axis", 0), node.attribute("reduction", "none")
        names = {"none": "", "add": "sum", "mul": "prod", "max": "amax", "min": "amin"}
        if reduction not in names:
            raise node.refusal(f"reduction={reduction}")
        reduce = names[reduction]

        def run(x: Tensor, places: Tensor, values: Tensor) -> Tensor:
            at = _from_the_end(places, x.shape[axis])
            return x.scatter_reduce(axis, at, values, reduce) if reduce else x.scatter(axis, at, values)

        return run

    def pad(node: Node) -> Function:
        mode = {"edge": "replicate", "wrap": "circular"}.get(node.attribute("mode"), node.attribute("mode", "constant"))

        def run(x: Tensor, pads: Sizes, value: float | None = None, axes: Sizes | None = None) -> Tensor:
            sides = [(0, 0)] * x.ndim
            where = range(x.ndim) if axes is None else axes
            for axis, before, after in zip(where, pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True):
                sides[axis] = (before, after)
            first = next((index for index, side in enumerate(sides) if side != (0, 0)), x.ndim)
            # torch counts from the last axis; and from there only the axes that have padding may be named.
            flat = [size for side in reversed(sides[first:]) for size in side]
            if mode == "constant":
                return F.pad(x, flat, value=value or 0)
            return _mirrored(x, flat, mode) if flat else x

        return run

    def _mirrored(x: Tensor, flat: Sizes, mode: str) -> Tensor:
        # torch does this only with one or two axes before those that it pads.
        rank = len(flat) // 2
        lead, padded = x.shape[: x.ndim - rank], x.shape[x.ndim - rank :]
        found = F.pad(x.reshape(1, -1, *padded), flat, mode=mode)
        return found.reshape(*lead, *found.shape[2:])

    def top(node: Node) -> Function:
        axis, largest, in_order = (node.attribute(*item) for item in (("axis", -1), ("largest", 1), ("sorted", 1)))
        return lambda x, count: torch.topk(x, count[0], axis, bool(largest), bool(in_order))

    def shape(node: Node) -> Function:
        start, end = node.attribute("start", 0), node.attribute("end")
        return lambda x: torch.tensor(x.shape[start:end], dtype=torch.int64)

    def filled(node: Node) -> Function:
        given = node.attribute("value")
        number = torch.zeros(1) if given is None else torch.from_numpy(numpy_helper.to_array(given).copy())
        value, dtype, device = number.item(), number.dtype, node.torch_device
        return lambda sizes: torch.full(sizes, value, dtype=dtype, device=device)

    def count(node: Node) -> Function:
        device = node.torch_device
        return lambda start, limit, step: torch.arange(start, limit, step, device=device)

    def reduction(function: Function) -> Operator:
        def build(node: Node) -> Function:
            keep, fixed = bool(node.attribute("keepdims", 1)), node.attribute("axes")
            empty_means_none = node.attribute("noop_with_empty_axes", 0)

            def run(x: Tensor, axes: Sizes | None = None) -> Any:
                axes = fixed if axes is None else axes
                if axes:
                    return function(x, axes, keep)
                return x if empty_means_none else function(x, list(range(x.ndim)), keep)

            return run

        return Operator(build=build, host=(1,))

    def _from_the_end(places: Tensor, size: int) -> Tensor:
        places = places.to(torch.int64)
        return torch.where(places < 0, places + size, places)

    return {
        "Concat": Operator(build=concat),
        "ConstantOfShape": Operator(build=filled, host=(0,)),
        "Expand": always(expand, host=(1,)),
        "Flatten": Operator(build=flatten),
        "Gather": Operator(build=gather),
        "Pad": Operator(build=pad, host=(1, 2, 3)),
        "Range": Operator(build=count, host=(0, 1, 2)),
        "ReduceMax": reduction(torch.amax),
        "ReduceMean": reduction(torch.mean),
        "ReduceMin": reduction(torch.amin),
        "ReduceSum": reduction(torch.sum),
        "Reshape": Operator(build=reshape, host=(1,)),
        "ScatterElements": Operator(build=scatter),
        "Shape": Operator(build=shape, yields_sizes=True),
        "Slice": always(slice_, host=(1, 2, 3, 4)),
        "Split": Operator(build=split, host=(1,)),
        "Squeeze": always(squeeze, host=(1,)),
        "Tile": always(lambda x, times: x.tile(times), host=(1,)),
        "TopK": Operator(build=top, host=(1,)),
        "Transpose": Operator(build=transpose),
        "Unsqueeze": always(unsqueeze, host=(1,)),
    }
