"""Every codec there is, by name: `base[:parameter][+entropy]`, such as `affine8+zstd` or `jpeg:75`.

A new base is a class that follows `offramp.codecs.packer.Packer`, in a file of its own, and a line in BASES.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from offramp.bundle.manifest import Manifest
from offramp.codecs.affine8 import Affine8
from offramp.codecs.codec import Codec
from offramp.codecs.image import LOSSLESS, Jpeg, Png, Webp
from offramp.codecs.layout import Float16, Float32, Raw
from offramp.codecs.nothing import Nothing
from offramp.codecs.packer import Crossing, Packer
from offramp.codecs.stacked import Stacked
from offramp.codecs.zstd import Zstd
from offramp.errors import PlanError, UnknownNameError
from offramp.registry import Catalogue, unknown

MAX_NAME = 64
"""Characters; a peer may send any name."""


@dataclass(frozen=True, slots=True)
class Base:
    """A way to lay a feature out as bytes."""

    open: Callable[[Crossing, str], Packer]
    """With the parameter, empty when none was given."""
    refusal: Callable[[Crossing], str]
    """Why it cannot be used at a crossing; empty where it can."""
    parameters: tuple[str, ...] = ()
    """Some of those that it takes, to show and to test; none at all when it takes none."""
    entropy: bool = True
    """Whether an entropy stage may follow; only where packed sizes are exact, and the rest is compressed anyway."""


BASES: Catalogue[Base] = Catalogue(
    "codec",
    [
        ("affine8", Base(Affine8, Affine8.refusal)),
        ("float16", Base(Float16, Float16.refusal)),
        ("float32", Base(Float32, Float32.refusal)),
        ("jpeg", Base(Jpeg, Jpeg.refusal, ("90", "75", "50"), entropy=False)),
        ("webp", Base(Webp, Webp.refusal, ("80", "50", LOSSLESS), entropy=False)),
        ("png", Base(Png, Png.refusal, entropy=False)),
        ("raw", Base(Raw, Raw.refusal)),
        ("none", Base(Nothing, Nothing.refusal, entropy=False)),
    ],
)

ENTROPY_STAGES: Catalogue[Callable[[], Zstd]] = Catalogue("entropy stage", [(Zstd.name, Zstd)])

_NAME = re.compile(r"(?P<base>[a-z0-9]+)(:(?P<parameter>[a-z0-9]+))?(\+(?P<entropy>[a-z0-9]+))?")


def open_codec(name: str, manifest: Manifest, cut: int) -> Codec:
    """The codec of this name for what crosses the cut.

    Raises:
        UnknownNameError: No such codec, or not at this cut; the message lists those that there are.
        PlanError: The bundle keeps no such cut.
    """
    crossing = _crossing(manifest, cut)
    match = _NAME.fullmatch(name[: MAX_NAME + 1])
    if match is None or len(name) > MAX_NAME or match["base"] not in BASES:
        raise UnknownNameError(f"at cut {cut} {unknown('codec', name[:MAX_NAME], codec_names(manifest, cut))}")
    base, parameter, entropy = BASES[match["base"]], match["parameter"] or "", match["entropy"]
    reason = base.refusal(crossing)
    if not reason and parameter and not base.parameters:
        reason = f"{match['base']} takes no parameter"
    if not reason and entropy and not base.entropy:
        reason = f"{match['base']} takes no entropy stage"
    if reason:
        raise UnknownNameError(
            f"codec {name} cannot be used at cut {cut} ({manifest.cuts[cut].name}): {reason}; "
            f"known: {', '.join(codec_names(manifest, cut)) or 'none'}"
        )
    stage = ENTROPY_STAGES[entropy]() if entropy else None
    return Stacked(name, base.open(crossing, parameter), stage)


def codec_names(manifest: Manifest, cut: int) -> list[str]:
    """Names that open at this cut; of those with a parameter, a few.

    Raises:
        PlanError: The bundle keeps no such cut.
    """
    crossing = _crossing(manifest, cut)
    names = []
    for name, base in BASES.items():
        if not base.refusal(crossing):
            names += [f"{name}:{parameter}" for parameter in base.parameters] or [name]
            if base.entropy:
                names += [f"{name}+{stage}" for stage in ENTROPY_STAGES]
    return names


def _crossing(manifest: Manifest, cut: int) -> Crossing:
    if not 0 <= cut <= manifest.end:
        raise PlanError(f"cut {cut} does not exist: {manifest.name!r} has cuts 0 to {manifest.end}")
    kind = manifest.sample.kind if cut == 0 else "end" if cut == manifest.end else "feature"
    return Crossing(cut=cut, kind=kind, tensors=manifest.cuts[cut].tensors)
