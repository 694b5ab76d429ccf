"""Scenario files: an experiment written down in TOML, whose lists multiply into runs.

    file ── read strictly ──► values of each key ── product ──► cells, in the order of the file's keys

docs/evaluate.md has every key with its default.
"""

import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from offramp.errors import SettingsError
from offramp.measure.energy import RADIOS
from offramp.planning.objective import DEFAULT_OBJECTIVE, parse_objective
from offramp.planning.strategies.catalog import STRATEGIES as KNOWN
from offramp.units import parse_seconds
from offramp_evaluation.replay.arrivals import read_arrivals
from offramp_evaluation.replay.contest import BASELINES, STRATEGIES
from offramp_evaluation.sweep.cell import Arriving, Cell
from offramp_evaluation.sweep.links import TwoWays, read_links
from offramp_evaluation.sweep.networks import Profiles, read_networks
from offramp_evaluation.sweep.plans import read_plans
from offramp_evaluation.sweep.table import Table, above, named, one_of, text, whole, yes

RATE, SAMPLES, LINK = 8.0, 400, "2mbit,20ms"
RHYTHMS = ("fixed", "poisson")
TABLES = ("network", "link", "load", "device", "edge", "rows")
MANY = 100_000
"""Runs of one sweep, at most: a product that is larger was not meant."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenario:
    """What a file says."""

    name: str
    about: str
    cells: tuple[Cell, ...]
    varied: tuple[str, ...]
    """Keys that have several values."""

    def live(self) -> "Scenario":
        """The same, performed for real."""
        return replace(self, cells=tuple(replace(cell, live=True) for cell in self.cells))


def read_scenario(path: Path, changes: Sequence[str], profiles: Profiles) -> Scenario:
    """The runs of a scenario file, after `changes` such as `load.samples=50`.

    Raises:
        SettingsError: The file, a key or a value is wrong; the message names it and a way out.
        DataError: A trace or arrivals cannot be read.
        BundleError: A bundle cannot be opened.
        TapeError: A tape cannot be opened.
    """
    document, file, folder = _load(path), str(path), path.parent
    for change in changes:
        _change(document, change)
    top = Table(file, "", document)
    name, about = top.one("name", text, path.stem), top.one("about", text, path.stem)
    objectives = top.many("objective", named(parse_objective), str(DEFAULT_OBJECTIVE))
    seeds = top.many("seed", whole(0), 0)
    network, link, load, device, edge, rows = (top.raw(one, {}) for one in TABLES)
    top.close()
    networks = read_networks(file, network, folder, profiles)
    axes: dict[str, list[tuple[str, Any]]] = {"network": [(one.name, one) for one in networks]}
    axes |= _link_axes(file, link, folder) | _load_axes(Table(file, "load", load), folder)
    axes |= _host_axes(Table(file, "device", device), Table(file, "edge", edge))
    axes["objective"] = [(str(one), str(one)) for one in objectives]
    axes["seed"] = [(str(one), one) for one in seeds]
    if axes["device.power"][0][1] is None and any(one.asks_energy for one in objectives):
        raise SettingsError(f"{file}: an objective counts energy, but the board has no power; give device.power in W")
    strategies, baselines = _rows(Table(file, "rows", rows), networks)
    count = int(np.prod([len(values) for values in axes.values()], dtype=np.float64))
    if count > MANY:
        sizes = ", ".join(f"{len(values)} × {key}" for key, values in axes.items() if len(values) > 1)
        raise SettingsError(f"{file} makes {count:,} runs ({sizes}), more than {MANY:,}; shorten a list")
    return Scenario(
        name=name,
        about=" ".join(about.split()),
        cells=tuple(_cells(axes, strategies, baselines)),
        varied=tuple(key for key, values in axes.items() if len(values) > 1),
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"the scenario {path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the scenario {path} is not TOML: {error}") from error


def _change(document: dict[str, Any], change: str) -> None:
    """`KEY=VALUE`, where VALUE is TOML, or a text without its quotes."""
    path, equals, written = change.partition("=")
    if not equals or not path.strip():
        raise SettingsError(f"--set {change} changes nothing; write KEY=VALUE, such as load.samples=50")
    try:
        value = tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        value = written.strip()
    *tables, key = path.strip().split(".")
    place = document
    for table in tables:
        place = place.setdefault(table, {})
        if not isinstance(place, dict):
            raise SettingsError(f"--set {change}: {table} is no single table of the scenario; change the file instead")
    place[key] = value


def _link_axes(file: str, content: Any, folder: Path) -> dict[str, list[tuple[str, Any]]]:
    table = Table(file, "link", content)
    delay = table.one("delay", named(parse_seconds), "20ms")
    links: list[TwoWays] = read_links(file, table.raw("trace", LINK), folder, delay)
    shared = table.many("shared", yes, default=False)
    table.close()
    return {
        "link.trace": [(link.name, link) for link in links],
        "link.shared": [(str(one).lower(), one) for one in shared],
    }


def _load_axes(table: Table, folder: Path) -> dict[str, list[tuple[str, Any]]]:
    def arriving(value: Any) -> Arriving:
        written = text(value)
        if written in RHYTHMS:
            return Arriving(name=written)
        if not (folder / written).is_file():
            raise ValueError(f"expected fixed, poisson, or a file of arrivals; there is none in {folder}")
        return Arriving(name=written, times=read_arrivals(folder / written))

    axes: dict[str, list[tuple[str, Any]]] = {
        "load.rate": [(f"{one:g}", one) for one in table.many("rate", above(0), RATE)],
        "load.samples": [(str(one), one) for one in table.many("samples", whole(1), SAMPLES)],
        "load.devices": [(str(one), one) for one in table.many("devices", whole(1), 1)],
        "load.arrivals": [(one.name, one) for one in table.many("arrivals", arriving, "fixed")],
    }
    table.close()
    most = max(samples for _, samples in axes["load.samples"])
    for name, one in axes["load.arrivals"]:
        if one.times is not None and (len(one.times) < max(most, 2) or one.times[-1] <= 0):
            raise table.wrong("arrivals", name, f"it has {len(one.times)} arrivals, but load.samples asks for {most}")
    return axes


def _host_axes(device: Table, edge: Table) -> dict[str, list[tuple[str, Any]]]:
    powers: list[Any] = device.many("power", above(0), 1.0) if "power" in device else [None]
    device.raw("power")
    axes: dict[str, list[tuple[str, Any]]] = {
        "device.slowdown": [(f"{one:g}", one) for one in device.many("slowdown", above(0), 1.0)],
        "device.power": [("none" if one is None else f"{one:g}", one) for one in powers],
        "device.radio": [(one, one) for one in device.many("radio", one_of("radio", list(RADIOS)), "none")],
        "edge.slowdown": [(f"{one:g}", one) for one in edge.many("slowdown", above(0), 1.0)],
    }
    if powers == [None] and "radio" in device:
        raise device.wrong("radio", device.raw("radio"), "alone it makes no energy; give device.power in W too")
    device.close()
    edge.close()
    return axes


def _rows(table: Table, networks: Sequence[Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(strategies, plans among them; baselines): the rows of each run, which do not multiply."""

    def strategy(value: Any) -> str:
        written = text(value)
        KNOWN[written.partition(":")[0].strip()]  # or it says which there are
        return written

    plans = read_plans(table, "plans", networks)
    nothing = table.raw("strategies") == [] or ("strategies" not in table and plans)
    strategies = [] if nothing else table.many("strategies", strategy, list(STRATEGIES))
    none = table.raw("baselines") == []
    baselines = [] if none else table.many("baselines", one_of("baseline", list(BASELINES)), list(BASELINES))
    table.close()
    if not strategies and not plans and not baselines:
        raise table.wrong("strategies", [], "no strategy, no plan and no baseline make no rows; give one of them")
    return (*strategies, *(f"fixed:{plan}" for plan in plans)), tuple(baselines)


def _cells(
    axes: Mapping[str, Sequence[tuple[str, Any]]], strategies: tuple[str, ...], baselines: tuple[str, ...]
) -> Iterator[Cell]:
    for chosen in itertools.product(*axes.values()):
        values = dict(zip(axes, chosen, strict=True))
        yield Cell(
            network=values["network"][1],
            link=values["link.trace"][1],
            shared=values["link.shared"][1],
            rate=values["load.rate"][1],
            samples=values["load.samples"][1],
            devices=values["load.devices"][1],
            arriving=values["load.arrivals"][1],
            slowdown=values["device.slowdown"][1],
            edge_slowdown=values["edge.slowdown"][1],
            power=values["device.power"][1],
            radio=values["device.radio"][1],
            objective=values["objective"][1],
            strategies=strategies,
            baselines=baselines,
            seed=values["seed"][1],
            axes={key: shown for key, (shown, _) in values.items()},
        )
