"""Every codec there is, by name: `base[:parameter][+entropy]`, such as `affine4c+zstd-dict` or `jpeg:75`.

Before a bottleneck's code stands its name, and the parameter says how many of its channels are sent:
`slim/affine4:8+range`; or how sure the channels sent shall be, as many as it takes: `slim/affine4:sure9+range`.

A new base is a class that follows `offramp.codecs.packer.Packer`, in a file of its own, and a line in BASES; an entropy
stage one that follows `offramp.codecs.stage.EntropyStage`, and a line in ENTROPY_STAGES.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import BottleneckSpec
from offramp.bundle.tables import NO_TABLES, ProbeTables
from offramp.codecs.adaptive import Adaptive, AdaptiveStage, Probe, sure_of
from offramp.codecs.affine import GRAINS, Affine, Grain
from offramp.codecs.codec import Codec
from offramp.codecs.delta import Delta
from offramp.codecs.image import LOSSLESS, Jpeg, Png, Webp
from offramp.codecs.layout import Float16, Float32, Raw
from offramp.codecs.leading import Leading, first_channels
from offramp.codecs.lz4 import Lz4
from offramp.codecs.nothing import Nothing
from offramp.codecs.packer import CODE, Crossing, Packer
from offramp.codecs.prefix_range import range_stage
from offramp.codecs.range_coder import RangeCoder
from offramp.codecs.sparse import Sparse
from offramp.codecs.stacked import Stacked
from offramp.codecs.stage import EntropyStage, Packed
from offramp.codecs.zstd import Zstd, ZstdDictionary
from offramp.errors import PlanError, UnknownNameError
from offramp.plan import via_of
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
    """Whether an entropy stage may follow; not where it is compressed already."""
    listed: bool = True
    """Whether `codec_names` has it: what is measured and tried when nobody names a codec."""
    code: bool = False
    """Whether it writes the code of a bottleneck, all of whose channels have one range."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A way to make packed bytes fewer."""

    open: Callable[[Packed], EntropyStage]
    refusal: Callable[[str, Crossing], str]
    """Why it cannot follow the base of this name at a crossing; empty where it can."""
    listed: bool = False


def _affine(grain: Grain) -> Base:
    return Base(
        lambda crossing, _parameter: Affine(crossing, grain),
        lambda crossing: Affine.refusal(crossing, grain),
        listed=grain == Grain(8),
        code=not grain.per_channel,
    )


def _sparse(grain: Grain) -> Base:
    return Base(
        lambda crossing, _parameter: Sparse(crossing, grain),
        lambda crossing: Sparse.refusal(crossing, grain),
        listed=False,
    )


BASES: Catalogue[Base] = Catalogue(
    "codec",
    [
        *[(grain.name, _affine(grain)) for grain in GRAINS],  # affine8, affine8c, …, affine2c
        *[(f"{grain.name}z", _sparse(grain)) for grain in GRAINS],
        ("float16", Base(Float16, Float16.refusal, code=True)),
        ("float32", Base(Float32, Float32.refusal, code=True)),
        ("jpeg", Base(Jpeg, Jpeg.refusal, ("90", "75", "50"), entropy=False)),
        ("webp", Base(Webp, Webp.refusal, ("80", "50", LOSSLESS), entropy=False)),
        ("png", Base(Png, Png.refusal, entropy=False)),
        ("raw", Base(Raw, Raw.refusal)),
        ("delta", Base(Delta, Delta.refusal, listed=False)),
        ("none", Base(Nothing, Nothing.refusal, entropy=False)),
    ],
)

ENTROPY_STAGES: Catalogue[Stage] = Catalogue(
    "entropy stage",
    [
        ("zstd", Stage(Zstd, Zstd.refusal, listed=True)),
        ("zstd-dict", Stage(ZstdDictionary, ZstdDictionary.refusal)),
        ("lz4", Stage(Lz4, Lz4.refusal)),
        ("range", Stage(range_stage, RangeCoder.refusal)),
    ],
)

_NAME = re.compile(
    r"((?P<via>[a-z0-9-]+)/)?(?P<base>[a-z0-9]+)(:(?P<parameter>[a-z0-9]+))?(\+(?P<entropy>[a-z0-9]+(-[a-z0-9]+)*))?"
)
_CHANNELS = re.compile(r"[1-9]\d{0,4}")


class _Adapting(NamedTuple):
    """What chooses among codecs of one code, for each sample."""

    probe: ProbeTables
    sure: float
    names: tuple[str, ...]
    """Of the codecs, the one of fewest channels first."""


class _Parts(NamedTuple):
    """What a name consists of."""

    base: str
    parameter: str
    stage: Stage | None
    crossing: Crossing
    adapting: _Adapting | None = None

    def open(self) -> tuple[Packer, EntropyStage | None]:
        """The two halves of the codec."""
        packer = BASES[self.base].open(self.crossing, self.parameter)
        if self.stage is None:
            return packer, None
        return packer, self.stage.open(Packed(base=self.base, packer=packer, crossing=self.crossing))


def open_codec(name: str, manifest: Manifest, cut: int) -> Codec:
    """The codec of this name for what crosses the cut.

    Raises:
        UnknownNameError: No such codec, or not at this cut; the message lists those that there are.
        PlanError: The bundle keeps no such cut.
    """
    parts = _read(name, manifest, cut)
    if adapting := parts.adapting:
        rates = [open_codec(one, manifest, cut) for one in adapting.names]
        return Adaptive(name, Probe(adapting.probe), adapting.sure, rates)
    packer, entropy = parts.open()
    codec = Stacked(name, packer, entropy)
    if parts.crossing.kind != CODE:
        return codec
    (whole,) = manifest.crossing(cut, via_of(name))
    return Leading(whole, parts.crossing.tensors[0].shape[0], codec, packer, entropy)


def open_stage(name: str, manifest: Manifest, cut: int) -> EntropyStage | None:
    """The entropy stage of this codec, for what its base packs; None where it has none.

    Raises:
        UnknownNameError: As `open_codec` does.
        PlanError: The bundle keeps no such cut.
    """
    parts = _read(name, manifest, cut)
    if parts.adapting is None:
        return parts.open()[1]
    stages = [open_stage(one, manifest, cut) for one in parts.adapting.names]
    return AdaptiveStage(name, [stage for stage in stages if stage]) if parts.stage else None


def _read(name: str, manifest: Manifest, cut: int) -> _Parts:
    crossing = _crossing(manifest, cut)
    match = _NAME.fullmatch(name[: MAX_NAME + 1])
    if match is None or len(name) > MAX_NAME or match["base"] not in BASES:
        raise UnknownNameError(f"at cut {cut} {unknown('codec', name[:MAX_NAME], codec_names(manifest, cut))}")
    parts, reason = _parts(match, manifest, crossing)
    if reason:
        raise UnknownNameError(
            f"codec {name} cannot be used at cut {cut} ({manifest.cuts[cut].name}): {reason}; "
            f"known: {', '.join(codec_names(manifest, cut)) or 'none'}"
        )
    return parts


def _parts(match: re.Match[str], manifest: Manifest, crossing: Crossing) -> tuple[_Parts, str]:
    """What a name of this form means at a crossing, and why it cannot be used there; empty where it can."""
    base, parameter, entropy = BASES[match["base"]], match["parameter"] or "", match["entropy"]
    reason = ""
    if match["via"] and (sure := sure_of(parameter)):
        return _adapting_parts(match, sure, manifest, crossing)
    if match["via"]:
        crossing, reason = _code(manifest, crossing, match["via"], base, parameter)
        parameter = ""
    reason = reason or base.refusal(crossing)
    if not reason and parameter and not base.parameters:
        reason = f"{match['base']} takes no parameter"
        if base.code and manifest.bottlenecks:
            reason += " but on the code of a bottleneck, whose name stands before it"
    if not reason and entropy and not base.entropy:
        reason = f"{match['base']} takes no entropy stage"
    stage = None
    if not reason and entropy:
        stage = ENTROPY_STAGES[entropy]
        reason = stage.refusal(match["base"], crossing)
    return _Parts(match["base"], parameter, stage, crossing), reason


def _adapting_parts(match: re.Match[str], sure: float, manifest: Manifest, crossing: Crossing) -> tuple[_Parts, str]:
    """The same of a codec that adapts: it can be used where those can which it chooses among."""
    via, base = match["via"], match["base"]
    probe = manifest.tables.get(via, NO_TABLES).probe
    counts = () if probe is None else tuple(probe.channels_R.tolist())
    ending = f"+{match['entropy']}" if match["entropy"] else ""
    names = tuple(f"{via}/{base}:{count}{ending}" for count in counts)
    found = _Parts(base, "", None, crossing)
    for name in names or (f"{via}/{base}{ending}",):
        one = _NAME.fullmatch(name)
        assert one is not None
        found, reason = _parts(one, manifest, crossing)
        if reason:
            return found, reason
    if probe is None:
        return found, f"the bundle ships no probe of {via}'s code; build it again, or write how many channels are sent"
    return found._replace(adapting=_Adapting(probe, sure, names)), ""


def codec_names(manifest: Manifest, cut: int) -> list[str]:
    """Names that open at this cut, such as are tried when nobody asks for another; of those with a parameter, a few.

    Of bottlenecks, what their makers found worth trying.

    Raises:
        PlanError: The bundle keeps no such cut.
    """
    return _names(manifest, cut, every=False)


def every_codec_name(manifest: Manifest, cut: int) -> list[str]:
    """All names that open at this cut, a hundred where the bundle ships tables; of those with a parameter, a few.

    Raises:
        PlanError: The bundle keeps no such cut.
    """
    return _names(manifest, cut, every=True)


def _names(manifest: Manifest, cut: int, *, every: bool) -> list[str]:
    crossing = _crossing(manifest, cut)
    names = []
    for name, base in BASES.items():
        if base.refusal(crossing) or not (base.listed or every):
            continue
        names += [f"{name}:{parameter}" for parameter in base.parameters] or [name]
        if base.entropy:
            stages = [stage for stage, entry in ENTROPY_STAGES.items() if entry.listed or every]
            names += [f"{name}+{stage}" for stage in stages if not ENTROPY_STAGES[stage].refusal(name, crossing)]
    for spec in manifest.bottlenecks:
        if spec.cut == cut:
            named = (f"{spec.name}/{codec}" for codec in (_every_code(spec) if every else spec.codecs))
            matches = [match for match in map(_NAME.fullmatch, named) if match and match["base"] in BASES]
            names += [match[0] for match in matches if not _parts(match, manifest, crossing)[1]]
    return names


def _every_code(spec: BottleneckSpec) -> Iterator[str]:
    """All ways to write a code, possible or not; of the numbers of channels one, half, all, and as many as it takes."""
    for parameter in (*sorted({1, (spec.channels + 1) // 2, spec.channels}), "sure9"):
        for base in BASES:
            yield f"{base}:{parameter}"
            yield from (f"{base}:{parameter}+{stage}" for stage in ENTROPY_STAGES)


def _code(manifest: Manifest, plain: Crossing, via: str, base: Base, parameter: str) -> tuple[Crossing, str]:
    """The first channels of a code, and why they cannot be written so; empty where they can."""
    try:
        (tensor,) = manifest.crossing(plain.cut, via)
    except PlanError as error:
        return plain, str(error)
    channels = tensor.shape[0]
    if not base.code:
        return plain, "the code of a bottleneck is written by affine8, affine4 and the like, float16 or float32"
    if parameter:
        if not _CHANNELS.fullmatch(parameter) or int(parameter) > channels:
            adapts = ", or :sure9 for as many as make 90 % sure" if manifest.tables.get(via, NO_TABLES).probe else ""
            return plain, f"{via} has {channels} channels; write :1 to :{channels} of them, or none for all{adapts}"
        channels = int(parameter)
    return first_channels(plain.cut, tensor, channels, manifest.tables.get(via, NO_TABLES)), ""


def _crossing(manifest: Manifest, cut: int) -> Crossing:
    if not 0 <= cut <= manifest.end:
        raise PlanError(f"cut {cut} does not exist: {manifest.name!r} has cuts 0 to {manifest.end}")
    manifest.check_split(cut)
    kind = manifest.sample.kind if cut == 0 else "end" if cut == manifest.end else "feature"
    tables = manifest.tables.get(cut, NO_TABLES)
    return Crossing(cut=cut, kind=kind, tensors=manifest.cuts[cut].tensors, tables=tables)
