"""Links of a scenario file: recorded, written down, or generated.

trace = "lte/*.up"                                                     files, one run each
trace = "10s:8mbit,30ms; 5s:outage; 2mbit,50ms"                        a link as `--link` has it
trace = { markov = ["8mbit", "1mbit", "outage"], dwell = "4s", duration = "60s", seed = [1, 2], delay = "30ms" }
trace = { sine = ["0.5mbit", "12mbit"], period = "20s", duration = "60s", outages = ["31s-35s"], name = "waves" }
trace = { file = "drive.csv", columns = "time=Timestamp:ms,rate=DL_bitrate:kbit" }
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from offramp.errors import DataError, InputError, SettingsError
from offramp.units import BitsPerSecond, Seconds, parse_rate, parse_seconds
from offramp_evaluation.shaper.link import parse_schedule
from offramp_evaluation.sweep.table import Table, named, text, whole, yes
from offramp_evaluation.traces import generate
from offramp_evaluation.traces.csvfile import parse_columns
from offramp_evaluation.traces.formats import Reading, read_trace
from offramp_evaluation.traces.steps import from_schedule
from offramp_evaluation.traces.trace import After, Trace

KINDS = ("file", "link", "markov", "sine")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TwoWays:
    """A link: the trace of either direction."""

    up: Trace
    down: Trace

    @property
    def name(self) -> str:
        return self.up.name

    def digest(self) -> str:
        """Of what is in the traces, whatever they are called."""
        found = sha256()
        for trace in (self.up, self.down):
            for array in (trace.time_T, trace.rate_T, trace.delay_T, trace.loss_T):
                found.update(array.tobytes())
            found.update(f"{trace.duration!r} {trace.after}".encode())
        return found.hexdigest()


def read_links(file: str, value: Any, folder: Path, delay: Seconds) -> list[TwoWays]:
    """All links of the key `link.trace`; `delay` is for traces that have none, `folder` where files are looked for.

    Raises:
        SettingsError: A link is malformed; the message names it and a way out.
        DataError: A file is no trace.
    """
    found: list[TwoWays] = []
    for item in value if isinstance(value, list) else [value]:
        found += (
            _from_table(file, item, folder, delay) if isinstance(item, dict) else _from_text(file, item, folder, delay)
        )
    if not found:
        raise SettingsError(f"{file}: link.trace = {value!r}: an empty list makes no run; give a link, or leave it out")
    names = [link.name for link in found]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"{file}: link.trace: two links are called {name!r}; give one another name = …")
    return found


def _from_text(file: str, value: Any, folder: Path, delay: Seconds) -> list[TwoWays]:
    if not isinstance(value, str):
        raise SettingsError(f"{file}: link.trace = {value!r}: expected a file, a link such as '2mbit,20ms', or a table")
    paths = sorted(path for path in folder.glob(value) if path.is_file()) if any(c in value for c in "*?[") else []
    if not paths and (folder / value).is_file():
        paths = [folder / value]
    if paths:
        return [_both(_delayed(read_trace(path), delay)) for path in paths]
    try:
        return [TwoWays(up=up, down=down) for up, down in [from_schedule(value, parse_schedule(value))]]
    except InputError as error:
        raise SettingsError(
            f"{file}: link.trace = {value!r}: there is no such file in {folder}, and as a link: {error}"
        ) from error


def _from_table(file: str, item: Any, folder: Path, delay: Seconds) -> list[TwoWays]:
    table = Table(file, "link.trace", item)
    kinds = [kind for kind in KINDS if kind in item]
    if len(kinds) != 1:
        raise SettingsError(f"{file}: link.trace = {item!r}: give exactly one of {', '.join(KINDS)}")
    own = table.optional("delay", named(parse_seconds))
    name, again = table.optional("name", text), table.one("repeat", yes, default=False)
    outages = table.many("outages", _outage, []) if "outages" in table else []
    try:
        made = _MAKERS[kinds[0]](table, folder)
        table.close()
        return _dressed(made, name, outages, own, delay, again)
    except DataError as error:
        raise SettingsError(f"{file}: link.trace = {item!r}: {error}") from error


def _dressed(
    made: list[TwoWays],
    name: str | None,
    outages: list[tuple[Seconds, Seconds]],
    own: Seconds | None,
    delay: Seconds,
    again: bool,
) -> list[TwoWays]:
    links = []
    for place, link in enumerate(made):
        called = link.name if name is None else name if len(made) == 1 else f"{name} {place + 1}"

        def dressed(trace: Trace, called: str = called) -> Trace:
            for start, stop in outages:
                trace = generate.with_outage(trace, start, stop)
            trace = trace.delayed(own) if own is not None else _delayed(trace, delay)
            return (trace.ending(After.REPEAT) if again else trace).named(called)

        links.append(TwoWays(up=dressed(link.up), down=dressed(link.down)))
    return links


def _file(table: Table, folder: Path) -> list[TwoWays]:
    columns = table.one("columns", named(parse_columns), "") if "columns" in table else {}
    pattern = table.one("file", text, "")
    paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    if not paths:
        raise table.wrong("file", pattern, f"there is no such file in {folder}")
    kind = table.optional("format", text)
    return [_both(read_trace(path, kind=kind, reading=Reading(columns=columns))) for path in paths]


def _link(table: Table, _folder: Path) -> list[TwoWays]:
    spec = table.one("link", text, "")
    up, down = from_schedule(spec, table.one("link", named(parse_schedule), ""))
    return [TwoWays(up=up, down=down)]


def _markov(table: Table, _folder: Path) -> list[TwoWays]:
    rates = table.many("markov", _rate, [])
    dwell, duration = (
        table.one(key, named(parse_seconds), value) for key, value in (("dwell", "5s"), ("duration", "120s"))
    )
    return [
        _both(generate.markov(rates, dwell=dwell, duration=duration, seed=seed).named(f"markov {seed}"))
        for seed in table.many("seed", whole(0), 0)
    ]


def _sine(table: Table, _folder: Path) -> list[TwoWays]:
    rates = table.many("sine", _rate, [])
    if len(rates) != 2:
        raise table.wrong("sine", table.raw("sine"), "expected two rates, the lowest and the highest")
    period, duration = (
        table.one(key, named(parse_seconds), value) for key, value in (("period", "30s"), ("duration", "120s"))
    )
    return [_both(generate.sine(*rates, period=period, duration=duration))]


_MAKERS: dict[str, Callable[[Table, Path], list[TwoWays]]] = {
    "file": _file,
    "link": _link,
    "markov": _markov,
    "sine": _sine,
}


def _both(trace: Trace) -> TwoWays:
    return TwoWays(up=trace, down=trace)


def _duration(table: Table, key: str, default: str) -> Seconds:
    return table.one(key, named(parse_seconds), default)


def _delayed(trace: Trace, delay: Seconds) -> Trace:
    return trace if trace.delay_T.any() else trace.delayed(delay)


def _rate(value: Any) -> BitsPerSecond:
    return BitsPerSecond(0.0) if value == "outage" else parse_rate(text(value))


def _outage(value: Any) -> tuple[Seconds, Seconds]:
    start, dash, stop = text(value).partition("-")
    if not dash:
        raise ValueError("expected from-to, such as 20s-25s")
    return parse_seconds(start), parse_seconds(stop)
