"""What a recipe's words stand for: its data, its raw sample, its labels, its normalisation.

# N samples, C channels, K classes
"""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from offramp.data import DataSet, Parts, Request, load, split
from offramp.data.labels import relabelled
from offramp.errors import ModelError, SettingsError
from offramp.records import SampleSpec
from offramp_builder.models import zoo_entry
from offramp_builder.pretrained import normalisation_of
from offramp_builder.recipe import Recipe

_DTYPES = {"image": "uint8", "audio": "int16", "ecg": "float32", "array": "float32"}
_NORMALISED_BY = 2_000
"""Pictures that mean and standard deviation are taken from: their error is then far below a grey level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything that is given before the network is opened."""

    sample: SampleSpec
    parts: Parts | None
    """None where there are no data."""
    labels: tuple[str, ...]
    """Empty where only the network knows how many classes it has."""
    mean: tuple[float, ...]
    std: tuple[float, ...]


def gather(recipe: Recipe) -> tuple[Sources, DataSet | None]:
    """The sources of a recipe, and the whole data set (for what it skipped).

    Raises:
        InputError: The data cannot be read, or fit neither the network nor the labels.
    """
    entry = zoo_entry(recipe.model)
    data = _load(recipe, entry.sample if entry else None) if recipe.data else None
    sample = data.sample if data is not None else _sample(recipe, entry.sample if entry else None)
    if recipe.kind is not None and recipe.kind != sample.kind:
        sample = replace(sample, kind=recipe.kind)
        data = replace(data, sample=sample) if data is not None else None
    labels = recipe.labels or (data.labels if data is not None else ())
    if not labels and entry is not None:
        labels = tuple(map(str, range(entry.classes)))
    if data is not None:
        data = relabelled(data, labels)
    parts = split(data, seed=recipe.seed) if data is not None else None
    mean, std = _normalisation(recipe, sample, parts)
    return Sources(sample=sample, parts=parts, labels=labels, mean=mean, std=std), data


def _load(recipe: Recipe, expected: SampleSpec | None) -> DataSet:
    """Pictures of any size are brought to the size asked for, else to that which the zoo's network was made for."""
    shape = recipe.shape
    if shape is None and expected is not None and expected.kind == "image" and recipe.data.startswith("folder:"):
        shape = expected.shape
    return load(recipe.data, Request(shape=shape, limit=recipe.limit, seed=recipe.seed))


def _sample(recipe: Recipe, expected: SampleSpec | None) -> SampleSpec:
    kind = recipe.kind or (expected.kind if expected else "image")
    if kind not in _DTYPES:
        raise SettingsError(f"there is no kind of sample {kind!r}; known: {', '.join(_DTYPES)}")
    if expected is not None and kind == expected.kind:
        return replace(expected, shape=recipe.shape or expected.shape)
    if recipe.shape is None:
        raise ModelError(
            f"nothing says what {recipe.model} takes; give --data, or --input-size such as 224x224x3 "
            f"(with --input-kind for anything but pictures)"
        )
    return SampleSpec(kind=kind, shape=recipe.shape, dtype=_DTYPES[kind])


def _normalisation(
    recipe: Recipe, sample: SampleSpec, parts: Parts | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if recipe.mean or recipe.std or sample.kind != "image":
        return recipe.mean, recipe.std
    if recipe.weights:
        return normalisation_of(recipe.weights)
    if parts is None or not recipe.learns:
        return (), ()
    count = len(parts.train)
    rows = np.linspace(0, count - 1, min(count, _NORMALISED_BY)).astype(np.int64)
    values = parts.train.samples[np.unique(rows)].reshape(-1, sample.shape[2]) / 255.0
    mean, deviation = values.mean(0), np.maximum(values.std(0), 1e-3)
    rounded = tuple(tuple(round(float(value), 4) for value in column) for column in (mean, deviation))
    return cast(tuple[tuple[float, ...], tuple[float, ...]], rounded)
