"""What a manifest says of bottlenecks, and what it refuses to say."""

from dataclasses import replace
from typing import Any

import pytest

from offramp.bundle.jsonform import from_json, to_json
from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import SegmentSpec, TensorSpec
from offramp.bundle.store import Bundle, model_digest
from offramp.errors import BundleError, PlanError
from tests.support.features import a_manifest_sending, a_tensor, with_code
from tests.support.manifests import a_manifest

PLAIN = a_manifest_sending(a_tensor(8, 8, 8))
MANIFEST = with_code(PLAIN, 6, 4, 4, tables=False)
(SLIM,) = MANIFEST.bottlenecks


def test_a_bundle_without_any_reads_writes_and_digests_as_before() -> None:
    assert "bottlenecks" not in to_json(PLAIN)
    assert all("via" not in segment for segment in to_json(PLAIN)["segments"])
    assert model_digest(PLAIN) != model_digest(MANIFEST)


def test_bottlenecks_read_back() -> None:
    assert from_json(Manifest, to_json(MANIFEST)) == MANIFEST


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cut": 0}, "leads around cut 0; it has to be an inner cut"),
        ({"cut": 4}, "leads around cut 4; it has to be an inner cut"),
        ({"name": "1slim"}, "a bottleneck is called '1slim'; take at most 24 lower-case letters"),
        ({"name": "s" * 25}, "take at most 24 lower-case letters"),
        ({"tensor": TensorSpec(shape=(6, 4), dtype="float32", low=0.0, high=2.0)}, "a code is float32 .* from 0 to 1"),
        ({"tensor": TensorSpec(shape=(6, 4), dtype="uint8", low=0.0, high=1.0)}, r"is uint8\[6, 4\] from 0 to 1"),
        ({"tensor": TensorSpec(shape=(), dtype="float32", low=0.0, high=1.0)}, r"a code is float32 \[C"),
    ],
)
def test_a_bottleneck_that_no_plan_could_use_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        replace(MANIFEST, bottlenecks=(replace(SLIM, **changed),))


def test_a_segment_via_nothing_is_refused() -> None:
    stray = SegmentSpec(start=0, stop=1, branch=False, file="graph/0-1~slum.onnx", via="slum")
    with pytest.raises(BundleError, match="a segment leads via 'slum', which is no bottleneck"):
        replace(MANIFEST, segments=(*MANIFEST.segments, stray))


def test_a_bottleneck_that_is_not_there_is_missed_by_name() -> None:
    with pytest.raises(PlanError, match="there is no bottleneck 'slum'; did you mean 'slim'"):
        MANIFEST.crossing(1, "slum")
    with pytest.raises(PlanError, match="there is no bottleneck 'slim'; known: none"):
        a_manifest().crossing(1, "slim")
    with pytest.raises(PlanError, match="has no segment from cut 1 to cut 4 .*, via the bottleneck slim"):
        MANIFEST.segment(1, 4, branch=False, via="slim")


def test_segments_begin_or_end_in_the_code(detoured_bundle: Bundle) -> None:
    manifest = detoured_bundle.manifest
    found = {
        (spec.start, spec.stop): (manifest.begins_via(spec), manifest.ends_via(spec))
        for spec in manifest.segments
        if spec.via == "slim"
    }
    assert found == {(0, 1): ("", "slim"), (1, 1): ("", "slim"), (1, 2): ("slim", ""), (1, 4): ("slim", "")}


def test_their_operations_are_those_of_stages_encoder_decoder_and_branch(detoured_bundle: Bundle) -> None:
    manifest = detoured_bundle.manifest
    slim, stages = manifest.bottleneck("slim"), [stage.macs for stage in manifest.stages]
    decoder, branch = slim.tail_macs - sum(stages[1:]), manifest.branch_at(2)
    assert branch is not None
    found = {(spec.start, spec.stop): manifest.macs(spec) for spec in manifest.segments if spec.via == "slim"}
    assert found == {
        (0, 1): stages[0] + slim.encoder_macs,
        (1, 1): slim.encoder_macs,
        (1, 2): decoder + stages[1] + branch.macs,
        (1, 4): slim.tail_macs,
    }
