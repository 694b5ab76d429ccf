"""What plans via a bottleneck are expected to take: its encoder and its tail, in the place of the stages' own."""

from dataclasses import replace

import numpy as np
import pytest

from offramp.bundle.jsonform import from_json, to_json
from offramp.measure.observe import EdgeAnswers, Observations
from offramp.measure.profile import Profile, segment_name
from offramp.plan import Plan, Unsure
from offramp.planning.candidates import Candidate
from offramp.planning.codec_costs import codec_costs
from offramp.planning.cost import CostModel
from offramp.planning.enumerating import enumerate_candidates
from offramp.planning.resolve import resolve
from offramp.planning.strategies.dads import Dads
from offramp.wire.framing import request_wire_bytes
from tests.support.features import FEATURE_CUT, a_manifest_sending, a_tensor, with_code
from tests.support.plans import a_candidate, a_profile, a_situation, an_exit, exactly, some_candidates, some_grounds

SLIM = "slim/affine4:8+range"


def with_detours(profile: Profile, *, encoder: float, tail: float, end: int = 2) -> Profile:
    """The profile of a bundle with a bottleneck around cut 1."""
    more = {
        segment_name(0, 1, branch=False, via="slim"): exactly(profile.segment(0, 1).median + encoder),
        segment_name(1, 1, branch=False, via="slim"): exactly(encoder),
        segment_name(1, end, branch=False, via="slim"): exactly(tail),
    }
    return replace(profile, segments={**profile.segments, **more})


DEVICE = with_detours(a_profile((0.0, 0.100, 0.300)), encoder=0.005, tail=1.0)
EDGE = with_detours(a_profile((0.0, 0.001, 0.003)), encoder=1.0, tail=0.004)


def parts_of(candidate: Candidate) -> dict[str, float]:
    model = CostModel(some_candidates(candidate), DEVICE, EDGE)
    return model.forecast(0, a_situation(rate=0.0)).parts.named()


def test_the_encoder_is_the_devices_and_decoder_and_tail_are_the_edges() -> None:
    parts = parts_of(a_candidate(1, codec=SLIM))
    assert (parts["device"], parts["tail"]) == (pytest.approx(0.105), pytest.approx(0.004))


def test_whoever_leaves_at_the_split_is_spared_the_encoder() -> None:
    parts = parts_of(a_candidate(1, codec=SLIM, exit=an_exit(1), reach=(1.0,), offload=0.4))
    assert parts["device"] == pytest.approx(0.100 + 0.001 + 0.4 * 0.005)
    assert parts["tail"] == pytest.approx(0.4 * 0.004)


def test_its_operations_count_among_those_of_a_candidate() -> None:
    """Of two codecs that are alike in all else, the one whose detour is long is covered."""
    truth, sizes = np.arange(10) % 5, np.full(10, 100)
    manifest = with_code(a_manifest_sending(a_tensor(8, 8, 8)), 4)
    heavy = replace(manifest.bottlenecks[0], name="heavy", encoder_macs=2000)
    observations = Observations(
        branch_labels={1: truth, 2: truth},
        branch_scores={cut: np.linspace(0.1, 1, 10, dtype=np.float32)[:, None].repeat(4, 1) for cut in (1, 2)},
        final_labels_M=truth,
        edge={
            (FEATURE_CUT, codec): EdgeAnswers(labels_M=truth, payload_bytes_M=sizes)
            for codec in (SLIM, "heavy/affine4")
        },
    )
    found = enumerate_candidates(
        observations, truth, np.arange(10), replace(manifest, bottlenecks=(*manifest.bottlenecks, heavy))
    )
    sent = {item.codec for item in found.candidates if item.exit.thresholds and item.split == FEATURE_CUT}
    assert sent == {SLIM}


@pytest.mark.parametrize(("encoder", "expected"), [(0.001, SLIM), (0.5, "affine8+zstd")])
def test_dads_counts_the_detour_among_what_crossing_takes(encoder: float, expected: str) -> None:
    grounds = some_grounds(
        a_candidate(1, payload=20_000),
        a_candidate(1, codec=SLIM, payload=200),
        device=with_detours(a_profile((0.0, 0.1, 1.0)), encoder=encoder, tail=1.0),
        edge=with_detours(a_profile((0.0, 0.001, 0.003)), encoder=1.0, tail=0.002),
    )
    chosen = Dads(grounds).choose(a_situation(mbit=1.0, rate=0.0)).plan
    assert chosen == Plan(split=1, codec=expected)


def test_why_this_codec_counts_encoder_and_tail_of_a_request() -> None:
    candidates = some_candidates(
        a_candidate(1, codec=SLIM, payload=200, exit=an_exit(1), reach=(1.0,), offload=0.5),
        a_candidate(1, codec=SLIM, payload=100),
        a_candidate(1, payload=20_000),
        a_candidate(0, codec="jpeg:90", payload=900),
    )
    found = codec_costs(CostModel(candidates, DEVICE, EDGE), a_situation(mbit=1.0), candidates.candidates[0].plan())
    assert [cost.codec for cost in found] == [SLIM, "affine8+zstd"]
    slim, plain = found
    # From the branch on, with the payloads of those who stay there.
    assert (slim.head, slim.tail, slim.wire_bytes) == (
        pytest.approx(0.005),
        pytest.approx(0.004),
        request_wire_bytes(200),
    )
    assert (plain.head, plain.tail) == (0.0, pytest.approx(0.002))
    # Nobody timed the code itself: it takes as long as what was timed there.
    assert (slim.encode, slim.decode) == (plain.encode, plain.decode)
    assert slim.total == pytest.approx(0.005 + slim.encode + 8 * slim.wire_bytes / 1e6 + slim.decode + 0.004)


SLIM_FEW, SLIM_MANY = "slim/affine4:2", "slim/affine4:8"


def doubting() -> list[Candidate]:
    """What is worth keeping where few channels suffice for whom the branch is sure of, and for nobody else."""
    truth = np.arange(40) % 5
    confidence_M = np.linspace(0.3, 0.99, 40, dtype=np.float32)
    few_M = np.where(confidence_M >= 0.6, truth, (truth + 1) % 5)
    observations = Observations(
        branch_labels={1: (truth + 1) % 5},
        branch_scores={1: confidence_M[:, None].repeat(4, 1)},
        final_labels_M=truth,
        edge={
            (FEATURE_CUT, SLIM_FEW): EdgeAnswers(labels_M=few_M, payload_bytes_M=np.full(40, 16)),
            (FEATURE_CUT, SLIM_MANY): EdgeAnswers(labels_M=truth, payload_bytes_M=np.full(40, 64)),
            (FEATURE_CUT, "affine8"): EdgeAnswers(labels_M=truth, payload_bytes_M=np.full(40, 600)),
        },
    )
    manifest = with_code(a_manifest_sending(a_tensor(8, 8, 8), branches=(1,)), 8)
    found = enumerate_candidates(observations, truth, np.arange(40), manifest)
    return [item for item in found.candidates if item.unsure is not None]


def test_a_higher_rate_for_whom_a_branch_doubts_is_a_candidate_where_it_pays() -> None:
    found = doubting()
    assert {item.codecs for item in found} == {(SLIM_FEW, SLIM_MANY)}
    best = max(found, key=lambda item: (item.accuracy, -item.payload_mean))
    assert best.unsure == Unsure(below=0.6, codec=SLIM_MANY)
    assert best.accuracy > max(item.accuracy for item in found if item.unsure and item.unsure.below < 0.6)
    assert best.payload_mean == pytest.approx(16 + best.doubted * (64 - 16), abs=0.1)
    assert resolve(str(best.plan()), with_code(a_manifest_sending(a_tensor(8, 8, 8), branches=(1,)), 8)) == best.plan()


def test_both_codecs_are_paid_for_by_their_shares() -> None:
    rule, other = an_exit(1), Unsure(below=0.6, codec="slim/affine8")
    one = a_candidate(1, codec=SLIM, exit=rule, reach=(1.0,), offload=0.5)
    mixed = replace(one, unsure=other, doubted=0.25)
    device = replace(DEVICE, encode={f"1:{SLIM}": exactly(0.010), "1:slim/affine8": exactly(0.050)})
    model = CostModel(some_candidates(one, mixed), device, EDGE)
    encode = [model.forecast(place, a_situation(rate=0.0)).parts.encode for place in (0, 1)]
    assert encode == [pytest.approx(0.5 * 0.010), pytest.approx(0.5 * (0.75 * 0.010 + 0.25 * 0.050))]
    assert [model.find(plan) for plan in (one.plan(), mixed.plan())] == [0, 1]
    assert model.find(replace(mixed.plan(), unsure=Unsure(below=0.7, codec="slim/affine8"))) is None


def test_a_candidate_with_two_rates_reads_back() -> None:
    mixed = replace(a_candidate(1, exit=an_exit(1)), unsure=Unsure(below=0.6, codec=SLIM), doubted=0.25)
    assert from_json(Candidate, to_json(mixed)) == mixed
    assert not {"unsure", "doubted"} & set(to_json(a_candidate(1)))
