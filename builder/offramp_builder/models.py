"""The network that a user names: from the zoo, or from a module of his own."""

import importlib
import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from offramp.errors import ModelError
from offramp.records import SampleSpec
from offramp_builder.zoo import ZOO, ZooEntry

_ZOO = "zoo:"


def zoo_entry(model: str) -> ZooEntry | None:
    """The zoo's entry where `model` is `zoo:NAME`.

    Raises:
        UnknownNameError: The zoo has no such network.
    """
    return ZOO[model.removeprefix(_ZOO)] if model.startswith(_ZOO) else None


def open_model(model: str, sample: SampleSpec, classes: int) -> nn.Module:
    """A fresh network for samples like this and so many classes.

    A factory of the user's is called with `num_classes` if it takes it, else without arguments; a module that was made
    already is taken as it is. It is looked for in the current directory too.

    Raises:
        ModelError: It cannot be found, raises, or gives something that is no nn.Module.
    """
    entry = zoo_entry(model)
    if entry is not None:
        return entry.factory(classes, sample.shape)
    place, colon, name = model.partition(":")
    if not colon or not place or not name:
        raise ModelError(f"{model!r} names no network; write zoo:NAME or package.module:factory")
    factory = _find(place, name)
    if isinstance(factory, nn.Module):
        return factory
    if not callable(factory):
        raise ModelError(
            f"{model} is {type(factory).__name__}; it should be a function or class that makes an nn.Module"
        )
    try:
        found = factory(num_classes=classes) if _takes_classes(factory) else factory()
    except Exception as error:  # it is the user's code: whatever it raises, it is this factory that failed
        raise ModelError(f"{model} failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, nn.Module):
        raise ModelError(f"{model} gave {type(found).__name__}, not an nn.Module")
    return found


def _find(place: str, name: str) -> Any:
    with _current_directory_importable():
        try:
            module = importlib.import_module(place)
        except Exception as error:  # an import runs the user's code
            raise ModelError(
                f"{place} cannot be imported: {type(error).__name__}: {error}; "
                f"run in the directory that holds it, or install its package"
            ) from error
    try:
        return getattr(module, name)
    except AttributeError:
        public = [found for found in vars(module) if not found.startswith("_")]
        raise ModelError(f"{place} has no {name!r}; it has {', '.join(public[:20]) or 'nothing public'}") from None


def _takes_classes(factory: Any) -> bool:
    try:
        return "num_classes" in inspect.signature(factory).parameters
    except ValueError:  # some callables tell nobody what they take
        return False


@contextmanager
def _current_directory_importable() -> Iterator[None]:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
