"""Tables of a TOML file, read strictly: a wrong key or value is an error that names file, key, value and a way out.

rate = 5           one value
rate = [5, 10]     several, which multiply with those of other keys
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from offramp.errors import InputError, SettingsError
from offramp.registry import unknown

T = TypeVar("T")
Read = Callable[[Any], T]
"""From what TOML holds; raises a ValueError that says what is expected."""


class Table:
    """One table, key by key; `close` complains about keys that nobody asked for."""

    def __init__(self, file: str, name: str, content: Any) -> None:
        """`name` is that in the file, empty for its top.

        Raises:
            SettingsError: It is no table.
        """
        if not isinstance(content, Mapping):
            raise SettingsError(f"{file}: {name} = {content!r} is no table; write [{name}] and its keys below")
        self._file, self._name, self._content = file, name, content
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def one(self, key: str, read: Read[T], default: Any) -> T:
        """A single value; `default` is in the form that the file would have."""
        self._known.append(key)
        return self._read(key, read, self._content.get(key, default))

    def optional(self, key: str, read: Read[T]) -> T | None:
        """A single value, or None where the key is left out."""
        self._known.append(key)
        return self._read(key, read, self._content[key]) if key in self._content else None

    def many(self, key: str, read: Read[T], default: Any) -> list[T]:
        """One value or a list of them, in their order.

        Raises:
            SettingsError: An empty list, or a value twice.
        """
        self._known.append(key)
        value = self._content.get(key, default)
        items = value if isinstance(value, list) else [value]
        if not items:
            raise self.wrong(key, value, "an empty list makes no run; give a value, or leave the key out")
        twice = [item for item, count in Counter(map(repr, items)).items() if count > 1]
        if twice:
            raise self.wrong(key, value, f"{twice[0]} is there twice; keep one")
        return [self._read(key, read, item) for item in items]

    def raw(self, key: str, default: Any = None) -> Any:
        self._known.append(key)
        return self._content.get(key, default)

    def close(self) -> None:
        """
        Raises:
            SettingsError: A key that has no meaning here.
        """
        for key in self._content:
            if key not in self._known:
                place = f"[{self._name}]" if self._name else "its top"
                raise SettingsError(f"{self._file}: {unknown(f'key of {place}', key, self._known)}")

    def wrong(self, key: str, value: Any, why: str) -> SettingsError:
        """The error about a value, to be raised."""
        place = f"{self._name}.{key}" if self._name else key
        return SettingsError(f"{self._file}: {place} = {value!r}: {why}")

    def _read(self, key: str, read: Read[T], value: Any) -> T:
        try:
            return read(value)
        except InputError as error:
            raise self.wrong(key, value, str(error)) from error
        except ValueError as error:
            raise self.wrong(key, value, str(error)) from error


def text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected a text between quotes")
    return value.strip()


def yes(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false, without quotes")
    return value


def whole(least: int) -> Read[int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"expected a whole number, {least} or more")
        return value

    return read


def above(low: float) -> Read[float]:
    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < math.inf:
            raise ValueError(f"expected a number above {low:g}")
        return float(value)

    return read


def named(parse: Callable[[str], T]) -> Read[T]:
    """What a parser of text reads: `named(parse_seconds)`."""
    return lambda value: parse(text(value))


def one_of(kind: str, names: list[str]) -> Read[str]:
    def read(value: Any) -> str:
        if value not in names:
            raise ValueError(unknown(kind, str(value), names))
        return str(value)

    return read
