"""What tests of the orchestrator share."""

import pytest

from tests.orchestrator.fleets import Fleet


@pytest.fixture
def fleet() -> Fleet:
    """With one edge."""
    fleet = Fleet()
    fleet.edge()
    return fleet
