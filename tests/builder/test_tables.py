from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from offramp.bundle.manifest import SampleSpec
from offramp.bundle.store import open_bundle
from offramp.bundle.tables import LEVELS, TOTAL, CutTables, TensorTables
from offramp.codecs.catalog import every_codec_name, open_codec
from offramp.codecs.usual import candidate_codecs
from offramp.records import Feature
from offramp_builder.bundle import write_bundle
from offramp_builder.capture import Captured, capture
from offramp_builder.ranges import calibrate
from offramp_builder.tables import tabulate

SAMPLE = SampleSpec(kind="array", shape=(4, 8, 8), dtype="float32")
SPREAD = torch.tensor([0.1, 1.0, 5.0, 20.0])
"""By how much each channel is multiplied."""


class Spread(nn.Module):
    """Channels of different ranges, then a classifier."""

    def __init__(self, *, last: bool = False) -> None:
        super().__init__()
        self.last = last
        self.relu, self.flatten, self.classify = nn.ReLU(), nn.Flatten(), nn.Linear(256, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * SPREAD[:, None, None]
        return self.classify(self.flatten(self.relu(x.permute(0, 2, 3, 1) if self.last else x)))


def signals(count: int = 200, *, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, *SAMPLE.shape, generator=generator)]


@cache  # a second each
def captured(*, last: bool = False) -> Captured:
    return capture(Spread(last=last), SAMPLE, nn.Identity())


def at_relu(network: Captured) -> int:
    return next(cut.position for cut in network.cuts if cut.name == "relu")


@cache
def tabulated(*, last: bool = False) -> CutTables:
    network = captured(last=last)
    position = at_relu(network)
    ranges = calibrate(network, [position], signals())
    return tabulate(network, [position], signals(), ranges)[position]


def only(tables: CutTables) -> TensorTables:
    (tensor,) = tables.tensors
    return tensor


def test_each_channel_gets_the_range_that_its_values_have() -> None:
    tables = only(tabulated())
    assert tables.axis == 0
    assert (tables.low_C == 0).all()
    assert np.allclose(tables.high_C[1:] / SPREAD[1:].numpy(), 3.5, rtol=0.15)


def test_a_channel_that_hardly_moves_needs_no_finer_steps_than_a_128th() -> None:
    tables = only(tabulated())
    assert tables.high_C.min() >= tables.high_C.max() / 129


def test_channels_are_found_where_they_are_last() -> None:
    tables = only(tabulated(last=True))
    assert tables.axis == 2
    assert tables.high_C[3] > 3 * tables.high_C[2]


def test_counts_add_up_and_leave_no_level_out() -> None:
    tables = only(tabulated())
    for counts_CL in (tables.counts_CL, tables.own_counts_CL):
        assert counts_CL.shape == (4, LEVELS)
        assert (counts_CL.sum(axis=1, dtype=int) == TOTAL).all()
        assert counts_CL.min() > 0


def test_counts_are_those_of_levels_as_the_codec_makes_them() -> None:
    tables = only(tabulated())
    # Half of all values are negative before the ReLU, and of a channel spread little all the others are small.
    assert 0.45 < tables.own_counts_CL[3, 0] / TOTAL < 0.56
    assert tables.counts_CL[0, :8].sum() / TOTAL > 0.98


def test_features_of_a_few_values_share_their_counts() -> None:
    network = captured()
    position = next(cut.position for cut in network.cuts if cut.name == "flatten")
    tables = tabulate(network, [position], signals(), calibrate(network, [position], signals()))
    assert only(tables[position]).counts_CL.shape == (1, LEVELS)


def test_the_same_samples_give_the_same_tables() -> None:
    one, other = tabulated(), tabulated.__wrapped__()
    assert one.dictionaries == other.dictionaries
    assert np.array_equal(only(one).own_counts_CL, only(other).own_counts_CL)


def test_a_dictionary_is_shipped_where_payloads_resemble_each_other_and_only_there() -> None:
    network = captured()
    position = at_relu(network)
    base = torch.randn(1, *SAMPLE.shape, generator=torch.Generator().manual_seed(1))
    alike = [base + 0.02 * batch for batch in signals()]
    # Evenly spread over all levels: nothing can be said of them in advance.
    unlike = [torch.rand(200, *SAMPLE.shape, generator=torch.Generator().manual_seed(2))]
    of_alike, of_unlike = (
        tabulate(network, [position], batches, calibrate(network, [position], batches))[position]
        for batches in (alike, unlike)
    )
    assert "affine8c" in of_alike.dictionaries
    assert "affine8c" not in of_unlike.dictionaries


def test_a_written_bundle_offers_the_codecs_of_its_tables(tmp_path: Path) -> None:
    network = captured()
    kept = [0, at_relu(network), network.end]
    ranges = calibrate(network, kept, signals())
    tables = tabulate(network, kept, signals(), ranges)
    write_bundle(tmp_path / "b", network, kept, name="spread", labels="abc", ranges=ranges, tables=tables)
    manifest = open_bundle(tmp_path / "b").manifest
    feature: Feature = ((torch.relu(signals(seed=2)[0][:1] * SPREAD[:, None, None])).numpy(),)
    assert {"affine4c+range", "affine3c+zstd"} <= set(every_codec_name(manifest, 1))
    assert {name.partition("+")[0] for name in candidate_codecs(manifest)[1]} >= {"affine4c", "affine3c", "affine2c"}
    sizes = {name: len(open_codec(name, manifest, 1).encode(feature)) for name in ("affine8", "affine8+range")}
    assert sizes["affine8+range"] < 0.75 * sizes["affine8"]
