"""head ∘ tail equals the monolith: at every cut, for one sample and several, in torch and in ONNX Runtime."""

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike

from offramp_builder.capture import random_samples
from offramp_builder.features import run_to
from offramp_builder.graphs import piece
from offramp_builder.zoo.catalog import ZOO
from tests.builder.building import SMALLER, Building, Capturing
from tests.builder.sessions import open_segment
from tests.support.models import NETWORKS

SAME = 1e-4
ALONE, IN_COMPANY = 1, 5
USERS = list(NETWORKS)
OURS = ["zoo:resnet18", "zoo:resnet20", *(f"zoo:{name}" for name in ZOO if not name.startswith("resnet"))]
# At every cut found where that is a few hundred small files; at some of them where it would be thousands.
KEEP = {name: "4" if name.removeprefix("zoo:") in {*SMALLER, "vit_small"} else "all" for name in OURS}


def difference(found_: ArrayLike, expected_: ArrayLike) -> float:
    found, expected = np.asarray(found_, np.float64), np.asarray(expected_, np.float64)
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", [*USERS, *OURS])
def test_torch_slices_at_every_cut_answer_as_the_original(captured: Capturing, name: str) -> None:
    network = captured(name)
    batches = [random_samples(network.sample, rows, seed=7) for rows in (ALONE, IN_COMPANY)]
    worst = {}
    with torch.no_grad():
        expected = [network.road(batch) for batch in batches]
        features = [run_to(network, range(len(network.cuts)), batch) for batch in batches]
        for cut in network.cuts[:-1]:
            alive = [tensor.node for tensor in cut.tensors]
            tail = piece(network.graph, alive, [network.cuts[-1].tensors[0].node])
            for at, logits in zip(features, expected, strict=True):
                worst[cut.name, len(logits)] = difference(tail(*at[cut.position])[0], logits)
    assert {where: value for where, value in worst.items() if not value <= SAME} == {}


@pytest.mark.parametrize("name", [*USERS, *OURS])
def test_onnx_segments_at_every_kept_cut_answer_as_the_original(built: Building, name: str) -> None:
    made = built(name, KEEP.get(name, "all"))
    batches = [random_samples(made.captured.sample, rows, seed=8) for rows in (ALONE, IN_COMPANY)]
    end = made.bundle.manifest.end
    worst = {}
    for cut in range(end):
        head = open_segment(made.bundle, 0, cut) if cut else None
        tail = open_segment(made.bundle, cut, end)
        for batch in batches:
            feature = (batch.numpy(),) if head is None else tuple(head(batch.numpy()).values())
            with torch.no_grad():
                expected = made.captured.road(batch).numpy()
            worst[cut, len(batch)] = difference(tail(*feature)["logits"], expected)
    assert {where: value for where, value in worst.items() if not value <= SAME} == {}
