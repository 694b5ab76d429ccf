"""Settings of a role: defaults in the class, then TOML, then environment, then flags; the later wins.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class DeviceSettings:
        deadline: Seconds = setting(Seconds(1.0), "answer within this time of a sample's arrival")

gives `deadline = "1s"` in the role's table of the TOML file, `OFFRAMP_DEVICE_DEADLINE=1s` and `--deadline 1s`.
"""

import argparse
import dataclasses
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from offramp.errors import SettingsError
from offramp.registry import unknown
from offramp.units import BitsPerSecond, Bytes, Seconds, parse_bytes, parse_rate, parse_seconds

T = TypeVar("T")

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def setting(default: Any, help: str, *, metavar: str = "") -> Any:  # noqa: A002 - the word argparse uses
    """A field of a Settings class with its help; `metavar` as argparse has it."""
    return dataclasses.field(default=default, metadata={"help": help, "metavar": metavar})


@dataclasses.dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """Settings, and for each of them where its value came from."""

    value: T
    origin: Mapping[str, str]

    def describe(self) -> str:
        """One line a setting: name, value, origin: what `--print-settings` prints."""
        names = [field.name for field in dataclasses.fields(typing.cast(Any, self.value))]
        width = max(map(len, names), default=0)
        return "\n".join(f"{name:{width}}  {getattr(self.value, name)!s:24}  # {self.origin[name]}" for name in names)


def add_flags(parser: argparse.ArgumentParser, kind: type[Any], role: str) -> None:
    """One flag per setting, plus `--settings FILE` and `--print-settings`."""
    group = parser.add_argument_group(
        "settings", f"each may also stand in [{role}] of a TOML file, or in OFFRAMP_{role.upper()}_NAME"
    )
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        flag = "--" + field.name.replace("_", "-")
        text = f"{field.metadata.get('help', '')} (default: {_show(field.default)})"
        if hints[field.name] is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            metavar = field.metadata.get("metavar") or field.name.upper()
            # Several values may come with one flag, between commas, or with the flag given several times.
            action = "append" if typing.get_origin(hints[field.name]) is tuple else "store"
            group.add_argument(flag, default=None, action=action, metavar=metavar, help=text.replace("%", "%%"))
    group.add_argument("--settings", type=Path, metavar="FILE", help="a TOML file with a table for this role")
    group.add_argument("--print-settings", action="store_true", help="print every setting and its origin, then stop")


def load(kind: type[T], role: str, args: argparse.Namespace, environment: Mapping[str, str]) -> Loaded[T]:
    """Settings from defaults, the TOML file of `--settings`, the environment and the flags.

    Raises:
        SettingsError: An unknown key (with the near miss), or a value that cannot be read.
    """
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(typing.cast(Any, kind))]
    values: dict[str, Any] = {}
    origin = dict.fromkeys(names, "default")

    def take(name: str, raw: Any, place: str) -> None:
        values[name] = _parse(hints[name], raw, f"{name} ({place})")
        origin[name] = place

    if args.settings is not None:
        for key, raw in _read_table(args.settings, role).items():
            name = key.replace("-", "_")
            if name not in names:
                raise SettingsError(f"{args.settings}: {unknown(f'setting of [{role}]', key, names)}")
            take(name, raw, str(args.settings))
    prefix = f"OFFRAMP_{role.upper()}_"
    for variable, raw in environment.items():
        if variable.startswith(prefix):
            name = variable.removeprefix(prefix).lower()
            if name not in names:
                raise SettingsError(
                    unknown("environment variable", variable, [prefix + name.upper() for name in names])
                )
            take(name, raw, variable)
    for name in names:
        raw = getattr(args, name)
        if raw is not None:
            flat = ",".join(raw) if isinstance(raw, list) else raw
            take(name, flat, "--" + name.replace("_", "-"))
    return Loaded(kind(**values), origin)


def _read_table(path: Path, role: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error
    table = document.get(role, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: {role} is {table!r}; write a table [{role}]")
    return table


def _parse(kind: Any, raw: Any, place: str) -> Any:
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        if raw in ("", "none", None):
            return None
        return _parse(next(item for item in arguments if item is not type(None)), raw, place)
    if typing.get_origin(kind) is tuple:
        items = raw if isinstance(raw, list) else [item.strip() for item in str(raw).split(",") if item.strip()]
        return tuple(_parse(arguments[0], item, place) for item in items)
    parse = _PARSERS[kind]
    try:
        return parse(raw)
    except ValueError as error:
        raise SettingsError(f"{place}: {error}") from error


def _parse_bool(raw: Any) -> bool:
    text = str(raw).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(f"{raw!r} is neither true nor false")
    return text in _TRUE


def _parse_number(kind: type[int] | type[float], raw: Any, expected: str) -> float:
    try:
        return kind(str(raw))
    except ValueError:
        raise ValueError(f"{raw!r} is not {expected}") from None


_PARSERS: dict[Any, Callable[[Any], Any]] = {
    bool: _parse_bool,
    int: lambda raw: _parse_number(int, raw, "a whole number"),
    float: lambda raw: _parse_number(float, raw, "a number"),
    str: str,
    Path: lambda raw: Path(str(raw)),
    Seconds: lambda raw: parse_seconds(str(raw)),
    Bytes: lambda raw: parse_bytes(str(raw)),
    BitsPerSecond: lambda raw: parse_rate(str(raw)),
}


def _show(default: Any) -> str:
    return "none" if default is None or default == () else str(default)
