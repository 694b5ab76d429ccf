"""Strategies, exit policies, codecs, trace formats and metrics from outside this package.

A plug-in is a module with a function `register`, which adds to catalogues:

    offramp evaluate sweep mine.toml --out runs/mine --plugin mine     a module that Python finds, or that lies here
    [project.entry-points."offramp.plugins"]                           or that an installed distribution names
    mine = "mine:register"

docs/evaluate.md has one. Whoever works for this process (other processes, a Ray cluster) loads the same.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import entry_points

from offramp.errors import SettingsError

GROUP = "offramp.plugins"

_registered: dict[str, None] = {}
"""Names of modules, in the order in which they were named: a catalogue takes an entry once."""
_installed: set[str] = set()


def load_plugins(modules: Sequence[str]) -> None:
    """Register those that are installed, and these modules; what is registered already is left alone.

    Raises:
        SettingsError: A module cannot be imported, has no `register`, or registers what is there.
    """
    for entry in entry_points(group=GROUP):
        if entry.value not in _installed:
            _installed.add(entry.value)
            _call(entry.value, entry.load)
    for name in modules:
        if name not in _registered:
            _registered[name] = None
            _call(name, partial(_found, name))


def loaded() -> tuple[str, ...]:
    """The modules that were named, for whoever works for this process."""
    return tuple(_registered)


def _found(name: str) -> Callable[[], None]:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)  # for good: a plug-in may import its neighbours when it is used
    register: Callable[[], None] = importlib.import_module(name).register
    return register


def _call(name: str, find: Callable[[], Callable[[], None]]) -> None:
    try:
        find()()
    except Exception as error:
        raise SettingsError(
            f"the plug-in {name!r} cannot be used ({type(error).__name__}: {error}); it is a module with a function "
            "register() that adds to catalogues, see docs/evaluate.md"
        ) from error
