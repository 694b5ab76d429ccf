"""Records on disk: those of a sweep, of a replay, of a live run, or of several."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offramp.errors import DataError
from offramp_evaluation.replay.record import LIVE, REPLAY

RECORD, SAMPLES, SWEEP = "record.json", "samples.parquet", "sweep.json"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A record, and where it lies."""

    name: str
    record: dict[str, Any]
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Collection:
    """Records, and what they were made for."""

    title: str
    about: str
    found: tuple[Found, ...]
    failed: int
    """Runs of the sweeps that have no record."""


def read_records(paths: Sequence[Path]) -> Collection:
    """Every record below these files and folders, those of a sweep in its order.

    Raises:
        DataError: No record there, or one that cannot be drawn; the message names it and a way out.
    """
    found: dict[Path, Found] = {}
    told: list[dict[str, Any]] = []
    for path in paths:
        places = [path] if path.is_file() else sorted(path.rglob(RECORD))
        order: dict[str, int] = {}
        for note in sorted(path.rglob(SWEEP)) if path.is_dir() else []:
            told.append(_read(note))
            order |= {run["run"]: place for place, run in enumerate(told[-1]["runs"])}
        places = [place for place in places if not place.parent.name.startswith(".")]
        if not places:
            ways = "`offramp evaluate replay --out DIR`, `live` or `sweep`"
            raise DataError(f"{path} holds no {RECORD}; make one with {ways}")
        for place in sorted(places, key=lambda one: (order.get(one.parent.name, len(order)), one)):
            found[place.resolve()] = Found(name=place.parent.name, record=_record(place), folder=place.parent)
    _refuse_mixture(list(found.values()))
    names = [one["name"] for one in told]
    return Collection(
        title=", ".join(names) or _counted(list(found.values())),
        about=" ".join(one["about"] for one in told if one["about"] != one["name"]),
        found=tuple(found.values()),
        failed=sum(len(one["failed"]) for one in told),
    )


def _record(path: Path) -> dict[str, Any]:
    record = _read(path)
    if record.get("kind") not in (REPLAY, LIVE) or not isinstance(record.get("rows"), list):
        raise DataError(f"{path} is no record of a run; give what `offramp evaluate replay`, `live` or `sweep` wrote")
    if not record["rows"] or any("views" not in row for row in record["rows"]):
        raise DataError(f"{path} holds nothing to draw: it was written by an older version; replay it again")
    return record


def _refuse_mixture(found: Sequence[Found]) -> None:
    simulated = next((one.folder for one in found if one.record["simulated"]), None)
    measured = next((one.folder for one in found if not one.record["simulated"]), None)
    if measured is not None and simulated is not None:
        raise DataError(
            f"{measured} was measured live and {simulated} replayed, and their numbers never stand in one column; give "
            "them apart, or hold one against the other with `offramp evaluate compare`"
        )


def _counted(found: Sequence[Found]) -> str:
    kind = "replay" if found[0].record["simulated"] else "live run"
    return f"{len(found)} {kind}{'s' * (len(found) > 1)}"


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no JSON object; give a record, or a folder with some")
    return content
