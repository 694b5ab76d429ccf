"""Captured networks and bundles, each made once for all tests of the folder."""

from functools import cache

import pytest

from tests.builder.building import Building, Built, Capturing, build, captured_network


@pytest.fixture(scope="session")
def captured() -> Capturing:
    """`captured(name)`: a network of tests/support/models.py, or `zoo:NAME`."""
    return captured_network


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Building:
    """`built(name, request)`: its bundle with the chosen cuts, and branches on the first and the last inner one."""

    @cache
    def once(name: str, request: str) -> Built:
        return build(tmp_path_factory.mktemp("bundles") / "bundle", name, request)

    return lambda name, request="all": once(name, request)
