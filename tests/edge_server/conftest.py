"""The tiny bundle, on the road."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from offramp.bundle.store import Bundle
from tests.edge_server.edge import Road
from tests.support.certificates import make_certificates
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="session")
def road(tiny_bundle: Bundle) -> Iterator[Road]:
    road = Road(tiny_bundle)
    yield road
    road.close()


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Another network of the same shape."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "other", seed=7)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates"))
