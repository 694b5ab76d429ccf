"""A catalogue: a closed table from names to things, which explains itself when a name is not in it."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from offramp.errors import UnknownNameError

T = TypeVar("T")


class Catalogue(Mapping[str, T], Generic[T]):
    """Names of one kind of plug-in, written down where one can read them with one's eyes.

    Asking for a name that is not there raises UnknownNameError, from `get` too: ask `in` first where that is fine.

    >>> shapes = Catalogue("shape", [("round", 1), ("square", 2)])
    >>> shapes["round"]
    1

    Raises:
        ValueError: Two entries share a name (at import, so that it cannot be missed).
    """

    def __init__(self, kind: str, entries: list[tuple[str, T]]) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}
        for name, entry in entries:
            if name in self._entries:
                raise ValueError(f"the {kind} catalogue holds {name!r} twice")
            self._entries[name] = entry

    def add(self, name: str, entry: T) -> None:
        """Take in an entry of another package, for as long as the process lives.

        Closed the catalogue stays to all that comes over the wire: a peer chooses among what was installed here.

        Raises:
            ValueError: The name is taken.
        """
        if name in self._entries:
            raise ValueError(f"the {self.kind} catalogue has a {name!r} already; choose another name")
        self._entries[name] = entry

    def __getitem__(self, name: str) -> T:
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(unknown(self.kind, name, self._entries)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries  # Mapping's own would ask __getitem__, whose error is no KeyError

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def unknown(kind: str, name: str, known: Mapping[str, object] | list[str]) -> str:
    """The message for a name that is not known: the near miss first, then all there are."""
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"there is no {kind} {name!r}; {hint}known: {', '.join(known) or 'none'}"
