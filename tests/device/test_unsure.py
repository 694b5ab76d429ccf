"""The rate of each sample by itself: whom the last branch is not sure of is written with another codec."""

from offramp.bundle.store import Bundle
from offramp.clock import ManualClock
from offramp.planning.resolve import resolve
from offramp.units import Seconds
from offramp_device import Device
from offramp_device.route import RouteOpener
from offramp_device.uplink import LoopbackUplink
from tests.device.fakes import FakeRuntime, ScriptedUplink, a_pipeline, a_sample, start
from tests.support.manifests import a_manifest
from tests.support.tiny_bundle import some_images

TWO_RATES = "split=2, exit=confidence:0.9@1/0.95@2, codec=affine8, unsure=0.6:float32"
FEW, MANY = 8 * 8 * 8, 4 * 8 * 8 * 8


def sent(confidence: float, plan: str = TWO_RATES) -> int:
    clock = ManualClock(Seconds(100.0))
    pipeline = a_pipeline(plan, ScriptedUplink(clock), clock)
    return len(start(pipeline, a_sample(confidence=confidence, arrival=clock.now())).payload)


def test_a_sample_that_the_last_branch_doubts_is_written_with_the_other_codec() -> None:
    assert [sent(confidence) for confidence in (0.2, 0.55, 0.65, 0.8)] == [MANY, MANY, FEW, FEW]


def test_it_is_the_last_branch_asked_that_counts() -> None:
    """FakeSegment says the same at every branch, so that the second one would have let it leave."""
    clock = ManualClock(Seconds(100.0))
    runtime = FakeRuntime(a_manifest(), clock)
    plan = resolve("split=3, exit=confidence:0.9@1/0.95@2, codec=affine8, unsure=0.6:float32", a_manifest())
    route = RouteOpener(a_manifest(), runtime, clock).open(plan)
    assert route.doubt is not None
    assert (route.doubt.cut, route.doubt.below) == (2, 0.6)
    assert [leg.name for leg in route.doubt.route.legs] == [leg.name for leg in route.legs]


def test_the_flight_is_on_the_other_route_to_the_end() -> None:
    clock = ManualClock(Seconds(100.0))
    pipeline = a_pipeline(TWO_RATES, ScriptedUplink(clock), clock)
    flight = start(pipeline, a_sample(confidence=0.2, arrival=clock.now()))
    assert pipeline.route.doubt is not None
    assert flight.route is pipeline.route.doubt.route
    assert str(flight.route.plan).endswith("codec=float32")
    assert flight.route.plan.revision == pipeline.route.plan.revision


def test_a_doubted_sample_may_take_a_bottleneck_and_a_sure_one_none(detoured_bundle: Bundle) -> None:
    plan = "split=1, exit=confidence:1@1, codec=float32, unsure={}:slim/affine4:3"
    for below, expected in ((0.01, 8 * 16 * 16 * 4), (1.0, 3 * 8 * 8 * 4 // 8)):
        with Device.open(detoured_bundle, edge=LoopbackUplink(detoured_bundle), plan=plan.format(below)) as device:
            sizes = {device.infer(image).payload_bytes for image in some_images(4)}
        assert sizes == {expected}
