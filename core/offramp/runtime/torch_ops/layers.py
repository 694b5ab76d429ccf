"""Operators that are layers: convolution, pooling, normalisation, the Fourier transform.

# N samples, C channels, L length in time, F frames
"""

from typing import Any

from offramp.runtime.torch_ops.operator import Function, Node, Operator, always


def layers() -> dict[str, Operator]:
    """By name. Needs torch."""
    import torch
    from torch import Tensor
    from torch.nn import functional as F  # noqa: N812 - torch's own name for it

    convolutions: dict[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
    transposed: dict[int, Any] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
    averages: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
    maxima: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}

    def paddings(node: Node, rank: int, filler: float, *, inside: bool = True) -> tuple[list[int], Function | None]:
        """What torch's function pads itself, equally on both sides, or else a function that pads before it.

        Args:
            node: With pads or auto_pad.
            rank: Axes that are padded, the last ones.
            filler: What is put there.
            inside: Whether torch's function can pad at all.
        """
        node.expect(auto_pad="VALID" if node.attribute("auto_pad") == "VALID" else "NOTSET")
        pads = node.attribute("pads") or [0] * 2 * rank
        before, after = list(pads[:rank]), list(pads[rank:])
        if before == after and (inside or not any(before)):
            return before, None
        flat = [size for pair in zip(reversed(before), reversed(after), strict=True) for size in pair]
        return [0] * rank, lambda x: F.pad(x, flat, value=filler)

    def conv(node: Node) -> Function:
        rank = len(node.shape(1)) - 2
        if rank not in convolutions:
            raise node.refusal(f"{rank} axes")
        function = convolutions[rank]
        strides = node.attribute("strides") or [1] * rank
        dilations = node.attribute("dilations") or [1] * rank
        groups = node.attribute("group", 1)
        padding, first = paddings(node, rank, 0.0)

        def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
            return function(x, weight, bias, strides, padding, dilations, groups)

        return run if first is None else lambda x, *weights: run(first(x), *weights)

    def conv_transpose(node: Node) -> Function:
        rank = len(node.shape(1)) - 2
        if rank not in transposed:
            raise node.refusal(f"{rank} axes")
        node.expect(output_shape=None)
        strides = node.attribute("strides") or [1] * rank
        dilations = node.attribute("dilations") or [1] * rank
        more = node.attribute("output_padding") or [0] * rank
        groups = node.attribute("group", 1)
        padding, unequal = paddings(node, rank, 0.0)
        if unequal is not None:  # here pads take away from the result
            raise node.refusal(f"pads={node.attribute('pads')}")

        def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
            return transposed[rank](x, weight, bias, strides, padding, more, groups, dilations)

        return run

    def average_pool(node: Node) -> Function:
        kernel = node.attribute("kernel_shape")
        rank = len(kernel)
        node.expect(dilations=[1] * rank)
        counts_pads = bool(node.attribute("count_include_pad", 0))
        strides, ceil = node.attribute("strides") or [1] * rank, bool(node.attribute("ceil_mode", 0))
        padding, first = paddings(node, rank, 0.0, inside=_half(node, kernel))
        if first is not None and (not counts_pads or ceil):
            raise node.refusal(f"pads={node.attribute('pads')}")
        function = averages[rank]

        def run(x: Tensor) -> Any:
            return function(x, kernel, strides, padding, ceil, counts_pads)

        return run if first is None else lambda x: run(first(x))

    def max_pool(node: Node) -> Function:
        node.only_first_output()
        kernel = node.attribute("kernel_shape")
        rank = len(kernel)
        strides, ceil = node.attribute("strides") or [1] * rank, bool(node.attribute("ceil_mode", 0))
        dilations = node.attribute("dilations") or [1] * rank
        padding, first = paddings(node, rank, -torch.inf, inside=_half(node, kernel))
        if first is not None and ceil:  # the last window would be counted otherwise
            raise node.refusal(f"pads={node.attribute('pads')} and ceil_mode=1")
        function = maxima[rank]

        def run(x: Tensor) -> Any:
            return function(x, kernel, strides, padding, dilations, ceil)

        return run if first is None else lambda x: run(first(x))

    def spatial(x: Tensor) -> list[int]:
        return list(range(2, x.ndim))

    def batch_norm(node: Node) -> Function:
        node.expect(training_mode=0)
        epsilon = node.attribute("epsilon", 1e-5)

        def run(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
            return F.batch_norm(x, mean, variance, scale, bias, eps=epsilon)

        return run

    def layer_norm(node: Node) -> Function:
        node.only_first_output()
        axis, epsilon = node.attribute("axis", -1), node.attribute("epsilon", 1e-5)

        def run(x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
            return F.layer_norm(x, x.shape[axis:], scale, bias, epsilon)

        return run

    def instance_norm(node: Node) -> Function:
        epsilon = node.attribute("epsilon", 1e-5)

        def run(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
            return F.instance_norm(x, weight=scale, bias=bias, eps=epsilon)

        return run

    def fourier(node: Node) -> Function:
        onesided = bool(node.attribute("onesided", 1))

        def run(signal_NL1: Tensor, step: int, window: Tensor | None = None, length: int | None = None) -> Tensor:
            if signal_NL1.ndim == 3 and signal_NL1.shape[2] != 1:
                raise node.refusal("a complex signal")
            signal_NL = signal_NL1.flatten(1)
            if window is None:
                window = torch.ones(length or signal_NL.shape[1], device=signal_NL.device, dtype=signal_NL.dtype)
            width = length or window.shape[0]
            spectrum_NCF = torch.stft(
                signal_NL, width, step, width, window, center=False, onesided=onesided, return_complex=True
            )
            return torch.view_as_real(spectrum_NCF.transpose(1, 2))

        return run

    return {
        "AveragePool": Operator(build=average_pool),
        "BatchNormalization": Operator(build=batch_norm),
        "Conv": Operator(build=conv),
        "ConvTranspose": Operator(build=conv_transpose),
        "GlobalAveragePool": always(lambda x: torch.mean(x, spatial(x), keepdim=True)),
        "GlobalMaxPool": always(lambda x: torch.amax(x, spatial(x), keepdim=True)),
        "InstanceNormalization": Operator(build=instance_norm),
        "LayerNormalization": Operator(build=layer_norm),
        "MaxPool": Operator(build=max_pool),
        "STFT": Operator(build=fourier, host=(1, 3)),
    }


def _half(node: Node, kernel: list[int]) -> bool:
    """torch's pooling pads by half a kernel at most."""
    pads = node.attribute("pads") or [0] * 2 * len(kernel)
    return all(2 * pad <= size for pad, size in zip(pads, [*kernel, *kernel], strict=True))
