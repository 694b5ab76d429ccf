"""A plan may ask for what is certified, whatever that is."""

import shutil
from pathlib import Path

import pytest

from offramp.bundle.store import Bundle, open_bundle
from offramp.errors import PlanError
from offramp.exits.certificate import Certificate, ExitShare, Seen, read_certificate, write_certificate
from offramp.exits.losses import Loss
from offramp.exits.risk import Method
from offramp.planning.certified import with_certificate
from offramp_device import Device


def a_certificate(bundle: Bundle, rule: str = "confidence:0.7@1/0.8@2") -> Certificate:
    return Certificate(
        model_digest=bundle.manifest.model_digest,
        rule=rule,
        split=2,
        loss=Loss.DROP,
        epsilon=0.01,
        delta=0.05,
        method=Method.WSR,
        bound=0.009,
        mean=0.004,
        unit="sample",
        certified_on=Seen(samples=2_500, units=2_500),
        tuned_on=Seen(samples=0, units=0),
        path="confidence",
        steps=49,
        step=20,
        exits=(ExitShare(cut=1, share=0.1), ExitShare(cut=2, share=0.3)),
        operations=0.8,
        accuracy=0.9,
        full_accuracy=0.904,
        data="seeded",
        data_digest="0" * 64,
        subset="calibration",
        seed=0,
    )


@pytest.fixture
def certified(tiny_bundle: Bundle, tmp_path: Path) -> Bundle:
    bundle = open_bundle(shutil.copytree(tiny_bundle.path, tmp_path / "tiny"))
    write_certificate(bundle, a_certificate(bundle))
    return open_bundle(bundle.path)


def test_a_certificate_reads_back_as_it_was_written(certified: Bundle) -> None:
    assert read_certificate(certified) == a_certificate(certified)


def test_the_certified_rule_stands_where_the_word_stood(certified: Bundle) -> None:
    written = with_certificate("split=3, exit = certified, codec=float32", certified)
    assert written == "split=3, exit=confidence:0.7@1/0.8@2, codec=float32"


def test_other_plans_are_as_they_were_and_need_no_certificate(tiny_bundle: Bundle) -> None:
    assert with_certificate("split=3, exit=margin:0.5", tiny_bundle) == "split=3, exit=margin:0.5"


def test_without_a_certificate_the_way_to_one_is_told(tiny_bundle: Bundle) -> None:
    with pytest.raises(PlanError, match="has no certificate; make one: offramp bundle certify"):
        with_certificate("split=end, exit=certified", tiny_bundle)


def test_a_device_follows_the_certified_rule(certified: Bundle) -> None:
    with Device.open(certified, plan="split=end, exit=certified") as device:
        assert str(device.plan.exit) == "confidence:0.7@1/0.8@2"
