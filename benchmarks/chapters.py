"""Chapters of docs/RESULTS.md that benchmarks write: from the records in docs/records, and from nothing else."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT
from offramp.errors import InputError

RECORDS, FIGURES, PAGE = ROOT / "docs" / "records", ROOT / "docs" / "figures", ROOT / "docs" / "RESULTS.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where records, figures and the page lie."""

    records: Path = RECORDS
    figures: Path = FIGURES
    page: Path = PAGE


def write_between(
    begin: str,
    end: str,
    records: str,
    shelf: Shelf,
    chapter: Callable[[Sequence[Mapping[str, Any]]], str],
    figures: Callable[[Mapping[str, Any]], Mapping[str, bytes]],
) -> None:
    """Write a chapter between its marks, and its figures, from the records whose names match the pattern `records`.

    Raises:
        InputError: The page has no place for it.
    """
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(shelf.records.glob(records))]
    before, begins, rest = shelf.page.read_text(encoding="utf-8").partition(begin)
    _, ends, after = rest.partition(end)
    if not (begins and ends):
        raise InputError(
            f"{shelf.page} lacks the lines {begin!r} and {end!r}, between which the chapter stands; add them"
        )
    shelf.page.write_text(f"{before}{begin}\n\n{chapter(found)}\n{end}{after}", encoding="utf-8")
    shelf.figures.mkdir(parents=True, exist_ok=True)
    for record in found:
        for name, picture in figures(record).items():
            (shelf.figures / name).write_bytes(picture)
