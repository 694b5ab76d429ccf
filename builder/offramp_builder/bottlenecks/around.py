"""Where bottlenecks lead around: found in the network, or refused before anything is trained."""

from dataclasses import dataclass

from offramp.errors import InputError, ModelError
from offramp_builder.bottlenecks.settings import BottleneckRequest, BottleneckSettings
from offramp_builder.capture import Captured


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Both are indices into `Captured.cuts`."""

    leaves: int
    """Where it leaves the network: what a manifest calls its cut."""
    cut: int
    """Whose feature the code is made of, and the decoder yields; later than `leaves` where it has stages of its own."""

    @property
    def own_stages(self) -> bool:
        return self.leaves < self.cut


def check_bottlenecks(captured: Captured, settings: BottleneckSettings) -> list[Around]:
    """Where the bottlenecks are; what cannot be is refused before anything is trained.

    Raises:
        ModelError: A cut is none that a plan may split at, or what crosses there is not one tensor of floats; or one
            leaves the network past the cut that it is at.
        InputError: There is no place to save them in, or nothing where trained ones should be.
    """
    if settings.weights is not None and not settings.weights.is_file():
        raise InputError(f"there are no bottlenecks at {settings.weights}; give a file that --save-bottlenecks left")
    if settings.save is not None and not settings.save.parent.is_dir():
        raise InputError(f"there is no folder {settings.save.parent} to save bottlenecks in; make it first")
    return [_around(captured, request) for request in settings.requests]


def _around(captured: Captured, request: BottleneckRequest) -> Around:
    cut = _position(captured, request.cut, "be at")
    leaves = cut if request.leaves is None else _position(captured, request.leaves, "leave the network at")
    if leaves > cut:
        raise ModelError(
            f"{request.leaves}>{request.cut} leaves the network past the cut that its code is made at; write the "
            f"earlier one first, as in {request.cut}>{request.leaves}"
        )
    return Around(leaves=leaves, cut=cut)


def _position(captured: Captured, name: str, what: str) -> int:
    position = captured.position(name)
    cut = captured.cuts[position]
    if position in (0, captured.end) or not cut.split:
        inner = [one.name for one in captured.cuts[1:-1] if one.split]
        raise ModelError(
            f"no bottleneck can {what} {cut.name}, where no plan splits a feature; take one of {', '.join(inner)}"
        )
    tensors = cut.tensors
    if len(tensors) > 1 or tensors[0].spec.dtype != "float32" or not 1 <= len(tensors[0].spec.shape) <= 3:
        shapes = " and ".join(f"{one.spec.dtype}{list(one.spec.shape)}" for one in tensors)
        raise ModelError(
            f"what crosses at {cut.name} is {shapes}; a bottleneck takes one float32 tensor [C, H, W], [C, L] or [C]"
        )
    return position
