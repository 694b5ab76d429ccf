"""Frozen dataclasses to JSON and back, strictly: an unknown or missing key is an error that names its place."""

import dataclasses
import reprlib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from offramp.errors import BundleError
from offramp.registry import unknown

T = TypeVar("T")

UNLESS_DEFAULT = {"written": "unless default"}
"""Metadata of a field that is left out where it has its default: readers from before it, and digests, see no change."""

IN_A_FILE = {"written": "in a file of its own"}
"""Metadata of a field that is no part of the JSON; it has its default until somebody reads the file."""


def to_json(value: Any) -> Any:
    """A dataclass, tuple or mapping as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_json(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.metadata != IN_A_FILE
            and (field.metadata != UNLESS_DEFAULT or getattr(value, field.name) != field.default)
        }
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    return value


def from_json(kind: type[T], value: Any, place: str = "") -> T:
    """The dataclass `kind` from plain JSON values.

    Raises:
        BundleError: A key is unknown or missing, or a value has the wrong type; the message names the place.
    """
    return typing.cast(T, _read(kind, value, place or kind.__name__))


def _read(kind: Any, value: Any, place: str) -> Any:
    kind = getattr(kind, "__supertype__", kind)  # a NewType reads as what it wraps
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType or origin is typing.Union:
        if value is None and type(None) in arguments:
            return None
        return _read(next(item for item in arguments if item is not type(None)), value, place)
    if origin is tuple:
        items = _expect(list, value, place)
        kinds = [arguments[0]] * len(items) if arguments[-1] is Ellipsis else arguments
        if len(kinds) != len(items):
            raise BundleError(f"{place} has {len(items)} items, not {len(kinds)}")
        return tuple(
            _read(item_kind, item, f"{place}[{index}]")
            for index, (item_kind, item) in enumerate(zip(kinds, items, strict=True))
        )
    if origin is Mapping:
        return {key: _read(arguments[1], item, f"{place}.{key}") for key, item in _expect(dict, value, place).items()}
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, _expect(dict, value, place), place)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return _expect(kind, value, place)


def _read_dataclass(kind: Any, value: dict[str, Any], place: str) -> Any:
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.metadata != IN_A_FILE}
    for name in value:
        if name not in fields:
            raise BundleError(f"{place}: {unknown('key', name, list(fields))}")
    for name, field in fields.items():
        optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if name not in value and not optional:
            raise BundleError(f"{place}: the key {name!r} is missing")
    return kind(**{name: _read(hints[name], item, f"{place}.{name}") for name, item in value.items()})


def _expect(kind: Any, value: Any, place: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BundleError(f"{place} is {reprlib.repr(value)}, not {kind.__name__}")
    return value
