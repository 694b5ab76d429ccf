"""A plan via a bottleneck over a real wire, and another rate of it while the device runs."""

import pytest

from offramp.bundle.store import Bundle
from offramp.records import Answered, Result
from offramp_device import Device
from offramp_device.uplink import LoopbackUplink
from tests.device.processes import an_edge
from tests.support.tiny_bundle import some_images

pytestmark = pytest.mark.system

IMAGES = some_images(5, seed=4)
PLANS = ("split=1, codec=slim/affine4:2+range", "split=1, codec=slim/affine8", "split=2, codec=own/affine4:3")


def answered(bundle: Bundle, edge: str | LoopbackUplink) -> list[Result]:
    with Device.open(bundle, edge=edge, plan=PLANS[0], keep_logits=True) as device:
        results = []
        for plan in PLANS:
            device.adopt(plan)
            results += [device.infer(image) for image in IMAGES]
    return results


def test_codes_of_any_rate_cross_a_real_wire_and_rates_change_between_two_samples(detoured_bundle: Bundle) -> None:
    with an_edge(detoured_bundle.path) as edge:
        found = answered(detoured_bundle, edge.address)
    expected = answered(detoured_bundle, LoopbackUplink(detoured_bundle))
    assert {result.answered for result in found} == {Answered.EDGE}
    assert [result.payload_bytes for result in found] == [result.payload_bytes for result in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.logits == pytest.approx(other.logits, abs=1e-4)


def test_the_edge_opens_both_rates_of_a_plan_before_the_first_sample(detoured_bundle: Bundle) -> None:
    plan = "split=1, exit=confidence:1@1, codec=affine8, unsure={}:slim/affine4:2"
    sizes = []
    with an_edge(detoured_bundle.path) as edge:
        for below in (0.01, 1.0):
            with Device.open(detoured_bundle, edge=edge.address, plan=plan.format(below)) as device:
                results = [device.infer(image) for image in IMAGES]
            assert {result.answered for result in results} == {Answered.EDGE}
            sizes.append({result.payload_bytes for result in results})
    assert sizes == [{8 * 16 * 16}, {2 * 8 * 8 * 4 // 8}]
