"""One recording, from beginning to end.

begun before? ── yes ─► its header ─────────────────────────┐
     └─ no ─► screening ─► codecs worth recording ─► header ┴► missing parts ─► workers ─► parts ─► tape
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from offramp.bundle.manifest import SCORES
from offramp.bundle.store import Bundle
from offramp.measure.listen import Heard, codec_entries, join
from offramp.tape.header import FINAL, TapeHeader, default_top_k, header_from_json
from offramp.tape.reader import open_tape
from offramp.tape.recording import HEADER, Recording
from offramp.tape.rows import TapeRows
from offramp_evaluation.recording.screen import screened
from offramp_evaluation.recording.selection import Selection
from offramp_evaluation.recording.workers import Advanced, Codecs, Done, Task, Workers

PARTS, SMALLEST, LARGEST = 16, 100, 1000
"""A recording has about so many parts, within these sizes: few enough to go fast, many enough to spread and resume."""
SLICE = 100
"""Samples of one task while screening."""


class Watch(Protocol):
    """Who is told how far it is."""

    def begin(self, what: str, done: int, total: int) -> None:
        """A step of `total` samples begins, `done` of which were done before."""
        ...

    def advance(self, samples: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be recorded, and where."""

    bundle: Bundle
    selection: Selection
    codecs: Mapping[int, Sequence[str]]
    """By split."""
    out: Path
    code: str
    """What records: see `offramp_evaluation.recording.origin`."""
    provenance: Mapping[str, str]
    screening: Selection | None = None
    """What is screened on; None screens nothing."""
    protected: Collection[tuple[int, str]] = ()
    """(split, codec) that screening keeps in any case."""
    head: str = ""
    """In which form stages and branches run; empty: the bundle's own."""


def record(order: Order, workers: Workers, watch: Watch) -> TapeHeader:
    """Record what is missing of the tape, and put it together; `workers` have opened the same bundle.

    Raises:
        TapeError: Another recording lies there.
        OfframpError: A worker died, or the network or a codec cannot be run.
    """
    header = _settle(order, workers, watch)
    recording = Recording.start(order.out, header)
    missing = recording.missing()
    ranges = {part: header.part_range(part) for part in missing}
    left = sum(stop - first for first, stop in ranges.values())
    if missing:
        watch.begin("recording", len(order.selection) - left, len(order.selection))
    codecs = _as_codecs(header)
    tasks = (
        Task(number=part, codecs=codecs, samples=order.selection.samples(slice(*ranges[part])), head=order.head)
        for part in missing
    )
    for event in workers.run(tasks):
        if isinstance(event, Advanced):
            watch.advance(event.samples)
        else:
            recording.write(event.number, _rows(order.selection, slice(*ranges[event.number]), event.heard))
    recording.finish()
    return header


def parts_on_disk(out: Path) -> int:
    """How many parts of an unfinished recording are there, as far as their names tell."""
    return len(list(out.with_name(out.name + ".parts").glob("part-*.parquet")))


def _settle(order: Order, workers: Workers, watch: Watch) -> TapeHeader:
    """The header: that of the recording which this one goes on with, or a new one after screening."""
    asked = _header(order, tuple((split, tuple(names)) for split, names in sorted(order.codecs.items())), [])
    begun = _begun(order.out)
    if begun is not None:
        # What it was screened down to stays; anything else that differs is refused when the recording starts.
        known = {name: text for name, text in begun.provenance.items() if name == "dropped"}
        return replace(asked, tails=begun.tails, codecs=begun.codecs, provenance={**asked.provenance, **known})
    if order.screening is None or not len(order.screening):
        return asked
    codecs, dropped = _screen(order, asked, workers, watch)
    return _header(order, codecs, dropped)


def _screen(order: Order, asked: TapeHeader, workers: Workers, watch: Watch) -> tuple[Codecs, list[str]]:
    selection = order.screening
    assert selection is not None
    watch.begin("screening", 0, len(selection))
    firsts = range(0, len(selection), SLICE)
    tasks = (
        Task(
            number=number,
            codecs=_as_codecs(asked),
            samples=selection.samples(slice(first, first + SLICE)),
            head=order.head,
        )
        for number, first in enumerate(firsts)
    )
    heard: dict[int, Heard] = {}
    for event in workers.run(tasks):
        if isinstance(event, Done):
            heard[event.number] = event.heard
        else:
            watch.advance(event.samples)
    return screened(
        join([heard[number] for number in range(len(firsts))]), asked.codecs, selection.truth_M, order.protected
    )


def _header(order: Order, codecs: Codecs, dropped: Sequence[str]) -> TapeHeader:
    manifest, selection = order.bundle.manifest, order.selection
    entries = codec_entries(manifest, dict(codecs), own=not order.head)
    tails = {(entry.split, entry.codec.partition("+")[0]): None for entry in entries if entry.voice != FINAL}
    asked = {name: None for names in order.codecs.values() for name in names}
    provenance = {**order.provenance, "codecs": ",".join(asked)}
    if order.screening is not None:
        provenance["screened_on"] = order.screening.digest
        provenance["dropped"] = "; ".join(dropped) or "nothing"
    return TapeHeader(
        bundle=manifest.name,
        model_digest=manifest.model_digest,
        data=selection.name,
        data_digest=selection.digest,
        head=order.head,
        code=order.code,
        samples=len(selection),
        classes=selection.classes,
        end=manifest.end,
        branches=tuple(sorted(branch.cut for branch in manifest.branches)),
        tails=tuple(tails),
        codecs=entries,
        scores=SCORES,
        top_k=default_top_k(selection.classes),
        part_rows=min(LARGEST, max(SMALLEST, -(-len(selection) // PARTS))),
        provenance=provenance,
    )


def _begun(out: Path) -> TapeHeader | None:
    """The header of the recording that lies there, finished or not."""
    if out.exists():
        return open_tape(out).header
    note = out.with_name(out.name + ".parts") / HEADER
    return header_from_json(note.read_text(encoding="utf-8"), str(note)) if note.exists() else None


def _as_codecs(header: TapeHeader) -> Codecs:
    splits = sorted({entry.split for entry in header.codecs})
    return tuple((split, tuple(entry.codec for entry in header.codecs if entry.split == split)) for split in splits)


def _rows(selection: Selection, rows: slice, heard: Heard) -> TapeRows:
    return TapeRows(
        id=selection.id_M[rows],
        index=selection.index_M[rows],
        group=selection.group_M[rows],
        truth=selection.truth_M[rows],
        stream=selection.stream_M[rows],
        subset=selection.subset_M[rows],
        logits=heard.logits,
        scores=heard.scores,
        payload_bytes=heard.payload_bytes,
    )
