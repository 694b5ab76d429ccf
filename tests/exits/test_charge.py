import math

import numpy as np

from offramp.bundle.store import Bundle
from offramp.exits.charge import Charge
from offramp.exits.walk import STAYED, Walked

CHARGE = Charge(before={1: 100.0, 2: 250.0}, branch={1: 10.0, 2: 20.0}, whole=400.0)


def walked(*left_at: int) -> Walked:
    return Walked(np.array(left_at, np.int64), np.zeros(len(left_at), np.int64))


def test_all_stages_and_branches_on_the_way_are_charged() -> None:
    assert CHARGE.of_each(walked(1, 2, STAYED), (1, 2)).tolist() == [110.0, 280.0, 430.0]


def test_a_branch_that_is_not_asked_costs_nothing() -> None:
    assert CHARGE.of_each(walked(2, STAYED), (2,)).tolist() == [270.0, 420.0]


def test_the_mean_is_that_of_the_samples() -> None:
    some = walked(1, 1, 2, STAYED, STAYED)
    assert CHARGE.mean(some, (1, 2)) == CHARGE.of_each(some, (1, 2)).mean()
    assert CHARGE.share(some, (1, 2)) == CHARGE.mean(some, (1, 2)) / 400.0


def test_of_no_sample_there_is_no_mean() -> None:
    assert math.isnan(CHARGE.mean(walked(), (1, 2)))


def test_a_manifest_says_what_to_charge(tiny_bundle: Bundle) -> None:
    manifest = tiny_bundle.manifest
    charge = Charge.of(manifest)
    assert charge.before[0] == 0
    assert charge.before[2] == manifest.stages[0].macs + manifest.stages[1].macs
    assert charge.before[manifest.end] == charge.whole == sum(stage.macs for stage in manifest.stages)
    assert charge.branch == {branch.cut: branch.macs for branch in manifest.branches}
