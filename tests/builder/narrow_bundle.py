"""A bundle of the squares' network, with one trained bottleneck."""

from pathlib import Path

from offramp.bundle.store import Bundle, open_bundle
from offramp_builder.bottlenecks.training import TrainedBottleneck
from offramp_builder.bundle import write_bundle
from tests.builder.trunks import squares_parts, squares_trunk


def write_narrow_bundle(path: Path, one: TrainedBottleneck) -> Bundle:
    captured = squares_trunk()
    write_bundle(
        path,
        captured,
        (0, one.bottleneck.position, captured.end),
        name="narrow",
        labels=squares_parts().train.labels,
        bottlenecks=[one.bottleneck],
        tables={one.bottleneck.name: one.tables},
    )
    return open_bundle(path)
