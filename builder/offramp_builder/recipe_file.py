"""Recipes as TOML: those that ship with the package, by name, and those of users, by path.

    model = "zoo:resnet20"
    data = "cifar10:pictures"

    [train]
    epochs = 41
    small_first = [[10, 16], [12, 20]]

A key is a field of `Recipe`; a table is a field that holds settings of its own. Relative paths count from the current
directory, as those in flags do.
"""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from offramp.errors import SettingsError
from offramp.registry import unknown
from offramp_builder.recipe import Recipe

_SUFFIX = ".toml"
_SHIPPED = resources.files("offramp_builder") / "recipes"


def shipped_recipes() -> dict[str, str]:
    """The recipes that come with the package: name, and what the first line of the file says of it."""
    files = {file.name.removesuffix(_SUFFIX): file for file in _SHIPPED.iterdir() if file.name.endswith(_SUFFIX)}
    return {name: _summary(files[name]) for name in sorted(files)}


def load_recipe(name: str) -> Recipe:
    """The recipe of this name, or in this file.

    Raises:
        SettingsError: There is none, a key is unknown, or a value has no meaning; the message names file and key.
    """
    return Recipe(**read_recipe(name))


def read_recipe(name: str) -> dict[str, Any]:
    """The fields of a `Recipe` that a file gives, its tables as settings; flags may still change them.

    Raises:
        SettingsError: As for `load_recipe`.
    """
    place, text = _find(name)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{place} is not TOML: {error}") from error
    given = _fields(Recipe, document, place)
    for table in ("train", "joint", "bottleneck"):
        if "seed" in given and table in given and "seed" not in document[table]:
            given[table] = dataclasses.replace(given[table], seed=given["seed"])
    return given


def _find(name: str) -> tuple[str, str]:
    """Where the recipe is, and what it says."""
    if not name.endswith(_SUFFIX):
        known = shipped_recipes()
        if name not in known:
            raise SettingsError(f"{unknown('recipe', name, known)}; or give a file: mine{_SUFFIX}")
        return f"recipe {name}", (_SHIPPED / f"{name}{_SUFFIX}").read_text(encoding="utf-8")
    try:
        return name, Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"the recipe {name} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{name} is not TOML: {error}") from error


def _summary(file: Traversable) -> str:
    return file.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")


def _fields(kind: type[Any], table: Mapping[str, Any], place: str) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    for key in table:
        if key not in names:
            raise SettingsError(f"{place}: {unknown('key', key, names)}")
    return {key: _value(hints[key], value, place, key) for key, value in table.items()}


def _settings(kind: type[Any], value: Any, place: str, key: str) -> Any:
    """The settings that a table holds."""
    if not isinstance(value, dict):
        raise SettingsError(f"{place}: {key} = {value!r} should be a table; write [{key}] above its keys")
    place = f"{place}: [{key}]"
    given = _fields(kind, value, place)
    needed = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    for name in needed:
        if name not in given:
            raise SettingsError(f"{place} lacks {name}, which has no default; write {name} = …")
    try:
        return kind(**given)
    except SettingsError as error:
        raise SettingsError(f"{place}: {error}") from error


def _value(hint: Any, value: Any, place: str, key: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _settings(hint, value, place, key)
    members = typing.get_args(hint)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return _value(next(one for one in members if one is not type(None)), value, place, key)
    if typing.get_origin(hint) is tuple:
        return _several(members, value, place, key)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and type(value) is int:
        return float(value)
    if hint is str and type(value) is int:
        return str(value)  # cuts = 4
    if type(value) is hint:
        return value
    raise SettingsError(f"{place}: {key} = {value!r} should be {_EXPECTED[hint]}")


def _several(members: tuple[Any, ...], value: Any, place: str, key: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise SettingsError(f"{place}: {key} = {value!r} should be a list; write {key} = [{value!r}]")
    if members[-1] is Ellipsis:
        return tuple(_value(members[0], one, place, key) for one in value)
    if len(value) != len(members):
        raise SettingsError(f"{place}: {key} has {value!r}, where {len(members)} values belong together")
    return tuple(_value(member, one, place, key) for member, one in zip(members, value, strict=True))


_EXPECTED: dict[Any, str] = {
    str: 'text, such as "auto"',
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path in quotes",
}
