"""What a tape is of: the values in its header, and their JSON.

A *voice* is anything that answers: `branch/2`, `final` (the whole network), `tail/3/affine8` (the tail after split 3,
fed with what the quantiser affine8 leaves of the feature). Codecs that differ only in what is lossless (affine8,
affine8+zstd) share a voice and differ in their bytes; a lossless codec shares the voice `final`.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from offramp.errors import TapeError
from offramp.registry import unknown

FORMAT = 1
"""Grows when a reader of the old format could misread the new one."""
FINAL = "final"
FULL_CLASSES = 100
"""Up to so many classes, all logits are kept, in float32: replayed answers are the recorded ones to the bit."""
TOP_K = 10
"""Above, the best ten in float16, with their classes: 40 bytes a voice instead of 4,000 for ImageNet."""
PART_ROWS = 1000
"""Samples that a killed recording may have to run again; also the row group, 3 MB with 50 voices of 10 classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecEntry:
    """One codec at one split: whose answer it leads to, and a column of payload bytes."""

    split: int
    codec: str
    voice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeHeader:
    """Two recordings with equal headers are the same recording: one resumes the other.

    Raises:
        TapeError: A voice is named twice or by nobody, or a count cannot be.
    """

    format: int = FORMAT
    bundle: str
    """Name, for people."""
    model_digest: str
    """sha256 of what both ends execute, as the bundle's manifest has it."""
    data: str
    """Name of the data set, for people."""
    data_digest: str
    """Of the samples, their order and their labels."""
    head: str = ""
    """In which form stages and branches ran, tails never; empty: the bundle's own. Then nothing is written of it."""
    code: str
    """Version, and the commit where it is known, of the code that recorded."""
    samples: int
    classes: int
    """K."""
    end: int
    """n: the cut at which `final` answers."""
    branches: tuple[int, ...]
    """Cuts of the branches, rising."""
    tails: tuple[tuple[int, str], ...]
    """(split, lossy quantiser)."""
    codecs: tuple[CodecEntry, ...]
    scores: tuple[str, ...]
    """Names of the fused scores, the columns of `scores_NS`."""
    tail_scores: bool = False
    """Whether tails carry scores too. With all logits kept they follow from these; with the top k they do not."""
    top_k: int = 0
    """How many logits are kept, best first; 0 keeps all of them."""
    part_rows: int = PART_ROWS
    provenance: Mapping[str, str] = field(default_factory=dict)
    """What else a reader may want to know: recipe, runtime, machine. Not times: equal recordings have equal headers."""

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise TapeError(f"tape format {self.format} is not {FORMAT}; record it again with this version of offramp")
        for name, least in (("samples", 1), ("classes", 2), ("end", 1), ("top_k", 0), ("part_rows", 1)):
            if getattr(self, name) < least:
                raise TapeError(f"a tape with {name} = {getattr(self, name)} cannot be; at least {least}")
        if self.top_k > self.classes:
            raise TapeError(f"the top {self.top_k} of {self.classes} classes cannot be; top_k=0 keeps all")
        _refuse_twice("voice", self.voices)
        _refuse_twice("codec", [f"{entry.codec} at split {entry.split}" for entry in self.codecs])
        for entry in self.codecs:
            if entry.voice not in self.voices:
                raise TapeError(
                    f"codec {entry.codec} at split {entry.split}: {unknown('voice', entry.voice, self.voices)}"
                )

    @property
    def voices(self) -> list[str]:
        """Everything that answers, in the order of the file."""
        return [*map(branch_voice, self.branches), *(tail_voice(*tail) for tail in self.tails), FINAL]

    @property
    def kept(self) -> int:
        """How many logits each voice has."""
        return self.top_k or self.classes

    @property
    def parts(self) -> int:
        return -(-self.samples // self.part_rows)

    def has_scores(self, voice: str) -> bool:
        return self.tail_scores or not voice.startswith("tail/")

    def part_range(self, part: int) -> tuple[int, int]:
        """First sample of a part, and the one after its last."""
        if not 0 <= part < self.parts:
            raise IndexError(f"part {part} of {self.parts}")
        return part * self.part_rows, min((part + 1) * self.part_rows, self.samples)


def default_top_k(classes: int) -> int:
    """All logits up to `FULL_CLASSES`, else the best `TOP_K`."""
    return 0 if classes <= FULL_CLASSES else TOP_K


def branch_voice(cut: int) -> str:
    return f"branch/{cut}"


def tail_voice(split: int, quantiser: str) -> str:
    return f"tail/{split}/{quantiser}"


def header_to_json(header: TapeHeader) -> str:
    """One line; equal headers give equal text."""
    document = dataclasses.asdict(header)
    if not header.head:
        del document["head"]  # tapes from before there were others stay the same recordings
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def header_from_json(text: str, place: str) -> TapeHeader:
    """
    Raises:
        TapeError: Not the JSON of a header; the message begins with `place`.
    """
    try:
        document = json.loads(text)
        names = {item.name for item in dataclasses.fields(TapeHeader)} - ({"head"} - set(document))
        if set(document) != names:
            raise TapeError(f"{place}: the header's keys differ by {sorted(set(document) ^ names)}")
        document["branches"] = tuple(document["branches"])
        document["tails"] = tuple((int(split), str(quantiser)) for split, quantiser in document["tails"])
        document["codecs"] = tuple(CodecEntry(**entry) for entry in document["codecs"])
        document["scores"] = tuple(document["scores"])
        return TapeHeader(**document)
    except (ValueError, TypeError, KeyError) as error:
        raise TapeError(f"{place} has no readable header ({error}); it is no tape, or a corrupt one") from error


def differences(one: TapeHeader, other: TapeHeader) -> list[str]:
    """The fields in which two headers differ, each as `name: this, not that`; of the provenance, its entries."""
    names = [item.name for item in dataclasses.fields(TapeHeader) if item.name != "provenance"]
    pairs = [(name, getattr(one, name), getattr(other, name)) for name in names]
    pairs += [
        (name, one.provenance.get(name, "nothing"), other.provenance.get(name, "nothing"))
        for name in sorted({*one.provenance, *other.provenance})
    ]
    return [f"{name}: {_short(this)}, not {_short(that)}" for name, this, that in pairs if this != that]


def _refuse_twice(kind: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TapeError(f"a tape holds each {kind} once; {twice[0]} is given twice")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:40] + "…"
