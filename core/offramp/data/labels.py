"""One set of classes under two lists of names."""

from dataclasses import replace

import numpy as np

from offramp.data.dataset import DataSet
from offramp.errors import DataError


def relabelled(data: DataSet, labels: tuple[str, ...]) -> DataSet:
    """The data set with truth as indices into `labels`.

    Labels that hold all names of the data set give the order (a network of 1000 classes, tried on ten of them); as many
    other names rename its classes.

    Raises:
        DataError: Neither.
    """
    if labels == data.labels:
        return data
    if set(data.labels) <= set(labels):
        index_K = np.array([labels.index(label) for label in data.labels], np.int64)
        return replace(data, labels=labels, truth_N=index_K[data.truth_N])
    if len(labels) == len(data.labels):
        return replace(data, labels=labels)
    unknown = next(label for label in data.labels if label not in labels)
    raise DataError(
        f"{data.name} has {len(data.labels)} classes, of which {unknown!r} is none of the {len(labels)} labels; "
        f"name every class of the network, in its order"
    )
