"""What a bundle says about itself: the manifest, as values.

    sample ─ stage 0 ─ cut 1 ─ stage 1 ─ cut 2 ─ … ─ stage n-1 ─ cut n
                         └ branch           └ branch

Cuts are numbered over the points that the bundle keeps: cut 0 is the input, cut n the output, stage i runs from
cut i to cut i+1. `discovered` lists every cut of the network, kept or not, so that a rebuild can choose others.

Inside a block several tensors are alive. Such a point is a cut too where a branch hangs on it, but never a split: its
feature would be larger than what the block began with.

A learned bottleneck is a detour around a cut, on which a code crosses in the place of the feature:

    … ─ stage ─┬─ cut ─ stage ─ …                          the road
               └─ encoder ─ code ─ decoder ─ stage' ─ …    via the bottleneck; its tail may be its own
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from offramp.bundle.jsonform import IN_A_FILE, UNLESS_DEFAULT
from offramp.bundle.specs import (
    BottleneckSpec,
    BranchSpec,
    CutSpec,
    DiscoveredCut,
    FileEntry,
    HeadSpec,
    SegmentSpec,
    StageSpec,
    TensorSpec,
    check_bottlenecks,
)
from offramp.bundle.tables import CutTables
from offramp.errors import BundleError, PlanError
from offramp.records import SampleSpec as SampleSpec  # noqa: PLC0414 - exported from here too: part of the manifest
from offramp.registry import unknown

FORMAT = 1
"""Grows when a reader of the old format could misread the new one."""

SCORES = ("confidence", "entropy", "margin", "own")
"""Columns of a branch's fused scores, each in [0, 1]: the largest calibrated probability; entropy / ln K; the
difference of the two largest probabilities; the branch's own confidence where it has one (else the largest again)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that a role needs to know before it opens a segment."""

    format: int
    name: str
    offramp: str
    """Version that wrote it."""
    sample: SampleSpec
    labels: tuple[str, ...]
    cuts: tuple[CutSpec, ...]
    stages: tuple[StageSpec, ...]
    branches: tuple[BranchSpec, ...]
    final_temperature: float
    final_accuracy: float | None
    """Of the whole network on the calibration split, in [0, 1]; None when untrained."""
    segments: tuple[SegmentSpec, ...]
    discovered: tuple[DiscoveredCut, ...]
    files: Mapping[str, FileEntry]
    model_digest: str
    """sha256 over all that both ends execute: sample, cuts, branches, segments and the digests of their files."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """How it came to be: data set and its digest, split sizes, seeds, recipe, versions."""
    bottlenecks: tuple[BottleneckSpec, ...] = field(default=(), metadata=UNLESS_DEFAULT)
    heads: tuple[HeadSpec, ...] = field(default=(), metadata=UNLESS_DEFAULT)
    """Other forms of what a device runs, beside the bundle's own."""
    tables: Mapping[int | str, CutTables] = field(default_factory=dict, compare=False, repr=False, metadata=IN_A_FILE)
    """By cut, and by the name of a bottleneck for its code: what codecs know beyond ranges. Read from a file, which
    `files` has, as the bundle is opened."""

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise BundleError(f"bundle format {self.format} is not {FORMAT}; rebuild it with this version of offramp")
        if self.cuts and not (self.cuts[0].split and self.cuts[-1].split):
            raise BundleError("the first and the last cut lie inside no block; build the bundle again")
        if len(self.stages) != len(self.cuts) - 1 or len(self.cuts) < 2:
            raise BundleError(
                f"{len(self.cuts)} cuts need {len(self.cuts) - 1} stages, the manifest has {len(self.stages)}"
            )
        check_bottlenecks(self.bottlenecks, self.cuts)
        names = {"", *(spec.name for spec in self.bottlenecks)}
        strange = next((spec.via for spec in self.segments if spec.via not in names), None)
        if strange is not None:
            raise BundleError(
                f"a segment leads via {strange[:80]!r}, which is no bottleneck here; build the bundle again"
            )

    @property
    def end(self) -> int:
        """n: the cut after the last stage; splitting there sends nothing."""
        return len(self.stages)

    @property
    def splits(self) -> tuple[int, ...]:
        """The cuts that a plan may split at, both ends included."""
        return tuple(index for index, cut in enumerate(self.cuts) if cut.split)

    def split_from(self, cut: int) -> int:
        """The first cut at or after this one that a plan may split at."""
        return next(split for split in self.splits if split >= cut)

    def check_split(self, cut: int) -> None:
        """Refuse a kept cut at which nothing can be sent.

        Raises:
            PlanError: It lies inside a block; the message names the nearest splits.
        """
        spec = self.cuts[cut]
        if not spec.split:
            before = max(split for split in self.splits if split < cut)
            raise PlanError(
                f"cut {cut} ({spec.name}) lies inside a block, where {len(spec.tensors)} tensors are alive: a branch "
                f"hangs there, but no plan splits there; split at {before} or {self.split_from(cut)}"
            )

    def branch_at(self, cut: int) -> BranchSpec | None:
        return next((branch for branch in self.branches if branch.cut == cut), None)

    def temperature_at(self, cut: int) -> float:
        """What divides the logits that are said at this cut: of its branch, or of the end."""
        branch = self.branch_at(cut)
        return self.final_temperature if branch is None else branch.temperature

    def head(self, name: str) -> HeadSpec:
        """
        Raises:
            PlanError: There is none of this name.
        """
        for spec in self.heads:
            if spec.name == name:
                return spec
        if not self.heads:
            raise PlanError(
                f"there is no head {name!r}: {self.name!r} has its own alone, in float32; leave head= out, or make "
                "one: offramp quantise --bundle DIR --data KIND:PATH"
            )
        raise PlanError(unknown("head", name, [spec.name for spec in self.heads]))

    def headed(self, name: str) -> "Manifest":
        """The bundle as it runs with this head: its segments stand in the place of those between the same cuts.

        An empty name is the bundle's own head, and changes nothing.

        Raises:
            PlanError: There is none of this name.
        """
        if not name:
            return self
        others = {(one.start, one.stop, one.branch, one.via): one for one in self.head(name).segments}
        segments = (others.get((one.start, one.stop, one.branch, one.via), one) for one in self.segments)
        return replace(self, segments=tuple(segments))

    def bottleneck(self, name: str) -> BottleneckSpec:
        """
        Raises:
            PlanError: There is none of this name; the message lists those there are.
        """
        for spec in self.bottlenecks:
            if spec.name == name:
                return spec
        raise PlanError(unknown("bottleneck", name, [spec.name for spec in self.bottlenecks]))

    def crossing(self, cut: int, via: str = "") -> tuple[TensorSpec, ...]:
        """What crosses the cut: its tensors, or the code of the bottleneck around it.

        Raises:
            PlanError: No such bottleneck, or it leads around another cut.
        """
        if not via:
            return self.cuts[cut].tensors
        spec = self.bottleneck(via)
        if spec.cut != cut:
            raise PlanError(
                f"the bottleneck {via} leads around cut {spec.cut} ({self.cuts[spec.cut].name}), not around cut {cut}; "
                f"split at {spec.cut} to use it"
            )
        return (spec.tensor,)

    def segment(self, start: int, stop: int, *, branch: bool, via: str = "") -> SegmentSpec:
        """The graph from `start` to `stop`, ending in the branch at `stop` when `branch` is set.

        Raises:
            PlanError: The bundle holds no such segment.
        """
        for spec in self.segments:
            if (spec.start, spec.stop, spec.branch, spec.via) == (start, stop, branch, via):
                return spec
        ending = "with its branch" if branch else "without a branch"
        way = f", via the bottleneck {via}" if via else ""
        raise PlanError(f"the bundle {self.name!r} has no segment from cut {start} to cut {stop} {ending}{way}")

    def begins_via(self, segment: SegmentSpec) -> str:
        """The bottleneck with whose code a segment begins; empty: it begins with a feature."""
        return segment.via if segment.via and segment.stop > self.bottleneck(segment.via).cut else ""

    def ends_via(self, segment: SegmentSpec) -> str:
        """The bottleneck in whose code a segment ends; empty: it ends in none."""
        return segment.via if segment.via and segment.stop == self.bottleneck(segment.via).cut else ""

    def given_to(self, segment: SegmentSpec) -> tuple[TensorSpec, ...]:
        """The tensors that a segment begins with."""
        return self.crossing(segment.start, self.begins_via(segment))

    def left_by(self, segment: SegmentSpec) -> tuple[TensorSpec, ...]:
        """The tensors that a segment hands on; none when it ends at cut n."""
        return () if segment.stop == self.end else self.crossing(segment.stop, self.ends_via(segment))

    def macs(self, segment: SegmentSpec) -> int:
        """Multiply-accumulates of one sample in a segment, its branch included."""
        start, stop = segment.start, segment.stop
        asked = self.branch_at(stop) if segment.branch else None
        macs = self.macs_between(start, stop) + (asked.macs if asked else 0)
        if not segment.via:
            return macs
        spec = self.bottleneck(segment.via)
        if stop == spec.cut:
            return macs + spec.encoder_macs
        if stop == self.end:
            return spec.tail_macs
        return macs + spec.tail_macs - self.macs_between(spec.cut, self.end)

    def macs_between(self, start: int, stop: int) -> int:
        """Multiply-accumulates of the stages from one cut to another, without branches."""
        return sum(stage.macs for stage in self.stages[start:stop])

    def find_cut(self, text: str) -> int:
        """A cut by index, by name, or `end`.

        Raises:
            PlanError: The bundle keeps no such cut; the message lists those it keeps.
        """
        if text == "end":
            return self.end
        if text.isdigit():
            if int(text) > self.end:
                raise PlanError(
                    f"cut {text} is past the end: {self.name!r} has cuts 0 to {self.end}; split=end sends nothing"
                )
            return int(text)
        names = [cut.name for cut in self.cuts]
        if text not in names:
            raise PlanError(unknown("kept cut", text, names))
        return names.index(text)
