"""Bundles with a head in int8."""

import shutil
from pathlib import Path

import numpy as np

from offramp.bundle.store import Bundle, open_bundle
from offramp.data import DataSet
from offramp.records import Array
from offramp_builder.int8.head import attach_int8


def some_data(bundle: Bundle, samples: Array) -> DataSet:
    """Samples of a bundle as a data set; nobody knows what they show."""
    count = len(samples)
    return DataSet(
        name="some samples",
        sample=bundle.manifest.sample,
        labels=bundle.manifest.labels,
        samples=samples,
        truth_N=np.zeros(count, np.int64),
        group_N=np.arange(count),
        part_N=np.zeros(count, np.int8),
        digest="",
    )


def with_int8(bundle: Bundle, path: Path, samples: Array) -> Bundle:
    """A copy of the bundle with a head in int8."""
    shutil.copytree(bundle.path, path)
    return attach_int8(open_bundle(path), some_data(bundle, samples))
