"""What alike devices share, and what the library makes of what peers send."""

from dataclasses import replace

import pytest

from offramp.errors import InputError
from offramp.planning.objective import DEFAULT_OBJECTIVE
from offramp_orchestrator.library import Library
from tests.orchestrator.fleets import BOARD, DIGEST, SERVER, a_shelf, raw
from tests.support.plans import a_profile


def test_hosts_that_measured_the_same_are_one() -> None:
    library = Library([a_shelf()])
    assert library.host(raw(BOARD), DIGEST) is library.host(raw(BOARD), DIGEST)


def test_devices_that_are_alike_share_their_grounds() -> None:
    library = Library([shelf := a_shelf()])
    device, edge = library.host(raw(BOARD), DIGEST), library.host(raw(SERVER), DIGEST)
    assert device is not None
    assert edge is not None
    once, again = (library.grounds(shelf, device, edge, DEFAULT_OBJECTIVE) for _ in range(2))
    assert once is again


def test_what_was_measured_with_another_bundle_says_nothing() -> None:
    other = replace(a_profile((0.0, 0.010, 0.100)), model_digest="e" * 64)
    assert Library([a_shelf()]).host(raw(other), DIGEST) is None


def test_a_plan_is_left_out_unless_it_is_the_only_one() -> None:
    library = Library([shelf := a_shelf()])
    host = library.host(raw(BOARD), DIGEST)
    assert host is not None
    plans = [item.plan() for item in shelf.candidates.candidates]
    fewer = library.grounds(shelf, host, host, DEFAULT_OBJECTIVE, frozenset(plans[:2]))
    all_barred = library.grounds(shelf, host, host, DEFAULT_OBJECTIVE, frozenset(plans))
    assert [len(one.candidates.candidates) for one in (fewer, all_barred)] == [len(plans) - 2, len(plans)]


def test_a_bundle_is_given_once() -> None:
    with pytest.raises(InputError, match="given twice"):
        Library([a_shelf(), a_shelf()])


def test_there_is_a_bundle() -> None:
    with pytest.raises(InputError, match="--bundle DIR"):
        Library([])
