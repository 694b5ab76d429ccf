"""Rates of each sample, plans of each side, and bottlenecks for one rate: what the benchmark of codecs finds.

# N samples
"""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.codecs import choosing, singles
from benchmarks.codecs.rates import Heard, Rule, cheapest_at, mixture, rate_of_each, rules_of
from benchmarks.codecs.sides import RAW, SIDES, WITH, WITHOUT, Bench, Followed, against, contest
from benchmarks.codecs.singles import Order, rates_of, request_of
from benchmarks.codecs.spots import Spot
from benchmarks.codecs.windows import window, windows
from benchmarks.codecs.within import executed, within
from offramp.bundle.manifest import Manifest
from offramp.data.held_out import to_fit
from offramp.planning.resolve import resolve
from offramp.tape.reader import Tape
from offramp_evaluation.live.hosts import Hosts
from tests.support.features import a_manifest_sending, a_tensor, with_code
from tests.support.manifests import a_manifest
from tests.support.plans import a_profile
from tests.support.tapes import write_a_tape

DOUBTS, SURE = 0.3, 0.8
COUNT = 1_000


def some_heard() -> Heard:
    """The cheap rate is right where the branch does not doubt, the dear one always, the branch where it is sure."""
    sure_N = np.linspace(0, 0.999, COUNT, dtype=np.float32)
    return Heard(
        branch=1,
        sure_N=sure_N,
        branch_right_N=sure_N >= SURE,
        codecs=("cheap", "dear"),
        right_CN=np.array([sure_N >= DOUBTS, np.ones(COUNT, bool)]),
        bytes_CN=np.array([[10] * COUNT, [100] * COUNT]),
    )


def test_who_is_doubted_is_sent_at_the_rich_rate() -> None:
    found = cheapest_at(rules_of(some_heard(), pairs=True, exits=False), 1.0)
    assert found is not None
    assert (found.rule.cheap, found.rule.rich) == ("cheap", "dear")
    assert found.rule.below == pytest.approx(DOUBTS, abs=0.02)
    assert found.nbytes == pytest.approx(0.3 * 100 + 0.7 * 10, abs=2)


def test_who_is_understood_leaves_and_takes_no_bytes() -> None:
    found = cheapest_at(rules_of(some_heard(), pairs=True, exits=True), 1.0)
    assert found is not None
    assert found.rule.leave == pytest.approx(SURE, abs=0.02)
    assert found.nbytes == pytest.approx(0.3 * 100 + 0.5 * 10, abs=2)


def test_without_pairs_and_exits_there_are_single_rates() -> None:
    assert [one.nbytes for one in rules_of(some_heard(), pairs=False, exits=False)] == [10, 100]


@pytest.mark.parametrize("exits", [False, True])
def test_a_rule_does_what_it_was_found_to_do(*, exits: bool) -> None:
    heard = some_heard()
    for one in rules_of(heard, pairs=True, exits=exits):
        right_N, bytes_N = heard.under(one.rule)
        assert (right_N.mean(), bytes_N.mean()) == pytest.approx((one.accuracy, one.nbytes))


def test_where_no_rule_is_accurate_enough_none_is_found() -> None:
    assert cheapest_at(rules_of(some_heard(), pairs=False, exits=False)[:1], 0.9) is None


def test_rules_are_plans_that_can_be_followed() -> None:
    manifest = a_manifest()
    for rule in (
        Rule(branch=1, below=0.5, leave=0.9, cheap="affine4", rich="affine8+zstd"),
        Rule(branch=1, below=0.0, leave=0.9, cheap="affine4", rich="affine4"),
        Rule(branch=1, below=0.0, leave=1.0, cheap="affine4", rich="affine4"),
        Rule(branch=2, below=0.5, leave=0.9, cheap="affine4", rich="affine8+zstd", before=((1, 0.8),)),
        Rule(branch=2, below=0.0, leave=1.0, cheap="affine4", rich="affine4", before=((1, 0.8),)),
    ):
        plan = rule.plan(2)
        assert resolve(str(plan), manifest) == plan


def test_a_mixture_lies_on_the_line_between_the_best() -> None:
    bytes_P, accuracy_P = np.array([10.0, 100.0, 50.0, 60.0]), np.array([0.5, 1.0, 0.6, 0.4])
    assert mixture(bytes_P, accuracy_P, 0.75) == pytest.approx(55)
    assert mixture(bytes_P, accuracy_P, 1.1) == 100


def test_every_tenth_takes_the_dear_rate_only_where_it_helps() -> None:
    heard = some_heard()
    right_N, bytes_N = rate_of_each(heard, heard, 1.0, exits=False)
    assert right_N.all()
    assert bytes_N.mean() == pytest.approx(0.3 * 100 + 0.7 * 10, abs=2)
    assert rate_of_each(heard, heard, 1.0, exits=True)[1].mean() == pytest.approx(0.3 * 100 + 0.5 * 10, abs=2)


def a_bench_of(heard: Heard) -> Any:
    """Whose calibration and test samples are the same; a plan that sends at the dear rate takes longer."""
    codecs = ["slim/affine2", "slim/affine8", "slim/affine8:sure9"][: len(heard.codecs)]
    said = dict(zip(codecs, zip(heard.right_CN, heard.bytes_CN, strict=True), strict=True))
    voice = SimpleNamespace(scores_NS=heard.sure_N[:, None], label_N=heard.branch_right_N.astype(int))
    tape = SimpleNamespace(
        header=SimpleNamespace(codecs=[SimpleNamespace(split=1, codec=codec) for codec in codecs]),
        truth_N=np.ones(COUNT, dtype=int),
        rows=lambda _subset: slice(None),
        branch=lambda _cut: voice,
        answer=lambda _split, codec: SimpleNamespace(label_N=said[codec][0].astype(int)),
        payload_bytes=lambda _split, codec: said[codec][1],
        final=lambda: SimpleNamespace(label_N=np.ones(COUNT, dtype=int)),
        group_N=np.arange(COUNT),
    )
    manifest = with_code(a_manifest_sending(a_tensor(16, 8, 8), branches=(1,)), 8, 4, 4)
    return SimpleNamespace(
        tape=tape,
        manifest=manifest,
        units=np.arange(COUNT),
        follow=lambda plan, _link, _board: SimpleNamespace(latency_N=np.array([float(plan.codec == codecs[1])])),
    )


def test_what_a_choice_saves_is_held_against_single_rates_as_accurate() -> None:
    found = choosing.study(a_bench_of(some_heard()))
    assert found is not None
    cheap, dear = found["points"]
    assert (cheap["codec"], dear["codec"]) == ("slim/affine2", "slim/affine8")
    assert dear["ways"]["two"]["saved"] == pytest.approx(1 - 0.37, abs=0.02)
    assert dear["ways"]["two"]["low"] < dear["ways"]["two"]["saved"] < dear["ways"]["two"]["high"]
    assert dear["ways"]["both"]["saved"] == pytest.approx(1 - 0.35, abs=0.02)
    assert (dear["ways"]["two"]["latency"][0], dear["ways"]["two"]["rival_latency"][0]) == (0.0, 1.0)


def test_a_code_that_chooses_its_rate_is_held_against_single_rates() -> None:
    heard = some_heard()
    own_bytes_N = np.where(heard.sure_N < DOUBTS, 100, 10) + 1
    three = replace(
        heard,
        codecs=(*heard.codecs, "own"),
        right_CN=np.vstack([heard.right_CN, np.ones(COUNT, bool)]),
        bytes_CN=np.vstack([heard.bytes_CN, own_bytes_N]),
    )
    found = choosing.study(a_bench_of(three))
    assert found is not None
    assert [point["codec"] for point in found["points"]] == ["slim/affine2", "slim/affine8"]
    assert found["points"][1]["ways"]["many"]["accuracy"] == 1.0
    (own,) = found["own"]
    assert (own["codec"], own["rival"]) == ("slim/affine8:sure9", "slim/affine8")
    assert own["plan"] == "split=1, exit=none, codec=slim/affine8:sure9"
    assert own["saved"] == pytest.approx(1 - 0.38, abs=0.01)
    useless = replace(three, right_CN=np.vstack([heard.right_CN, heard.sure_N >= SURE]))
    there = choosing.study(a_bench_of(useless))
    assert there is not None
    assert there["own"] == []


def test_rates_that_answer_no_better_than_the_branch_alone_are_left_out() -> None:
    heard = some_heard()
    found = choosing.study(a_bench_of(replace(heard, branch_right_N=heard.sure_N >= 0.2)))
    assert found is not None
    assert [point["codec"] for point in found["points"]] == ["slim/affine8"]


def test_nothing_is_lost_by_the_rule_that_only_sends_whom_the_branch_doubts() -> None:
    found = within(a_bench_of(some_heard()), drop=0.0, half=1.0)
    assert list(found) == [WITH]  # all codecs of this tape are learned
    assert (found[WITH]["lost"], found[WITH]["high"]) == (0, 0)
    assert found[WITH]["sent"] == pytest.approx(SURE, abs=0.02)
    assert found[WITH]["bytes"] == pytest.approx(0.3 * 100 + 0.5 * 10, abs=2)


def test_what_may_be_lost_saves_bytes_and_is_surely_not_passed() -> None:
    kept, lossy = (within(a_bench_of(some_heard()), drop=drop, half=1.0)[WITH] for drop in (0.0, 0.1))
    assert lossy["bytes"] < 0.8 * kept["bytes"]
    assert 0.05 < lossy["lost"] < lossy["high"] <= 0.1


def test_where_the_branch_alone_is_enough_nothing_is_sent() -> None:
    found = within(a_bench_of(replace(some_heard(), branch_right_N=np.ones(COUNT, bool))), drop=0.0, half=1.0)
    assert (found[WITH]["bytes"], found[WITH]["sent"]) == (0, 0)


def test_a_rate_that_looked_good_to_those_who_chose_is_not_taken_where_the_others_know_better() -> None:
    heard = some_heard()
    chance_N = to_fit(np.arange(COUNT)) | heard.right_CN[0]
    assert within(a_bench_of(replace(heard, right_CN=np.array([chance_N, heard.right_CN[1]]))), 0.01, half=1.0) == {}


def test_splits_behind_half_of_the_operations_have_no_rule() -> None:
    assert within(a_bench_of(some_heard()), drop=0.5, half=0.0) == {}


def test_the_device_executes_encoders_for_those_alone_that_it_sends() -> None:
    manifest = with_code(a_manifest_sending(a_tensor(16, 8, 8), branches=(1,)), 8, 4, 4)
    heard, rule = some_heard(), Rule(branch=1, below=0.3, leave=0.3, cheap="slim/affine2", rich="affine8")
    none, some = (executed(manifest, 1, replace(rule, leave=leave), heard) for leave in (0.3, 0.8))
    encoder = manifest.bottleneck("slim").encoder_macs / manifest.macs_between(0, manifest.end)
    sent = float(((heard.sure_N >= 0.3) & (heard.sure_N < 0.8)).mean())
    assert some - none == pytest.approx(sent * encoder)
    assert sent == pytest.approx(0.5, abs=2 / COUNT)
    assert encoder > 0


def test_who_left_before_is_surest_and_takes_no_bytes_at_any_rate() -> None:
    tape = a_bench_of(some_heard()).tape
    heard = Heard.of(tape, 1, ["slim/affine2", "slim/affine8"], 1, "test", before=((1, SURE),))
    assert heard.reach == (1.0, pytest.approx(SURE, abs=0.01))
    tried = rules_of(heard, pairs=True, exits=True)
    for one in tried:
        right_N, bytes_N = heard.under(one.rule)
        assert (one.accuracy, one.nbytes) == (pytest.approx(right_N.mean()), pytest.approx(bytes_N.mean()))
        assert not bytes_N[some_heard().sure_N >= SURE].any()
    assert max(one.accuracy for one in tried) == 1.0


def test_who_leaves_early_pays_for_those_that_go_on_past_the_half() -> None:
    """The second branch knows all that the first one doubts, at a split past the half."""
    manifest, heard = a_manifest_sending(a_tensor(16, 8, 8), branches=(1, 2)), some_heard()
    first = Rule(branch=1, below=0.0, leave=SURE, cheap="affine8", rich="affine8")
    second = replace(first, branch=2, leave=1.0, before=((1, SURE),))
    both = replace(heard, branch=2, before=second.before, reach=(1.0, SURE))
    alone = replace(both, before=(), reach=(1.0,))
    assert executed(manifest, 2, second, both) < executed(manifest, 2, replace(second, before=()), alone)


class Halves:
    """A tape whose first half is calibration."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tape, name)

    def __len__(self) -> int:
        return len(self._tape)

    def rows(self, subset: str) -> slice:
        half = len(self._tape) // 2
        return slice(0, half) if subset == "calibration" else slice(half, None)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    manifest = a_manifest()
    tape: Any = Halves(write_a_tape(tmp_path_factory.mktemp("tape") / "seeded.tape", manifest))
    board, edge = (a_profile(tuple(one * step for step in range(5))) for one in (0.010, 0.0003))
    return Bench(tape, manifest, Hosts(board=board, edge=edge))


def test_a_side_sends_only_what_it_allows(bench: Bench) -> None:
    for side in SIDES:
        for one in bench.candidates_of(side).candidates:
            assert one.codec == "none" or side.allows(one.split, one.codec)


def test_learned_codecs_are_on_one_side_alone() -> None:
    assert [side.name for side in SIDES if side.allows(2, "slim/affine4:8+range")] == [WITH]
    assert [side.name for side in SIDES if side.allows(0, "raw")] == [side.name for side in SIDES]


def test_a_contest_tells_each_sides_plan_and_what_became_of_it(bench: Bench) -> None:
    found = contest(bench, "50mbit,1ms", board=1.0, drop=0.5)
    assert found["sides"][WITH]["plan"] == found["sides"][WITHOUT]["plan"]
    assert "codec=none" in found["sides"][RAW]["plan"]
    assert found["sides"][WITH]["mean"] < found["sides"][RAW]["mean"]
    assert found["against"][RAW]["high"] < 0
    assert found["against"][WITHOUT]["difference"] == 0


def test_what_is_faster_is_negative_with_its_interval() -> None:
    def run(seconds: float) -> Followed:
        latency_N = seconds + np.linspace(0, 0.01, 100)
        return Followed(
            latency_N=latency_N, right_N=latency_N > 0, sent_N=latency_N > 0, wire_N=np.ones(100, dtype=np.int64)
        )

    found = against(run(0.02), run(0.03), np.arange(100))
    assert found == pytest.approx({"difference": -0.01, "low": -0.01, "high": -0.01})


def a_spot(codec: str, *, split: int, wire: float) -> Spot:
    return Spot(split=split, codec=codec, operations=0.5, payload=wire, wire=wire, accuracy=0.9, alike=0.9)


def test_a_code_pays_between_boards_that_answer_alone_and_boards_that_send_their_input(bench: Bench) -> None:
    code, rival = a_spot("affine8+zstd", split=1, wire=100), a_spot("jpeg:90", split=0, wire=1_000)
    found = window(bench, "250kbit,10ms", code, rival)
    head, whole = 0.010, 0.040
    assert head * found["from"] + away(bench, code) == pytest.approx(whole * found["from"])
    assert head * found["to"] + away(bench, code) == pytest.approx(away(bench, rival))


def away(bench: Bench, spot: Spot) -> float:
    """Coding takes a millisecond at either end, a stage at the edge 0.3 of one."""
    link = bench.situation("250kbit,10ms")
    return 0.002 + 8 * spot.wire / link.bandwidth + link.round_trip + 0.0003 * (4 - spot.split)


def test_without_learned_codecs_there_is_no_window(bench: Bench) -> None:
    assert windows(bench, [a_spot("jpeg:90", split=0, wire=1_000)]) == []


def test_without_a_bottleneck_no_rate_is_chosen(bench: Bench) -> None:
    assert choosing.study(bench) is None


def a_manifest_with_code() -> Manifest:
    codecs = ("affine2:4+range", "affine2:4", "affine4", "affine4:4+range")
    return with_code(a_manifest_sending(a_tensor(16, 8, 8)), 8, 4, 4, codecs=codecs)


def test_rates_are_drawn_from_what_the_bundle_offers() -> None:
    assert rates_of(a_manifest_with_code(), 100) == [(4, 2), (8, 4), (4, 4)]
    assert rates_of(a_manifest_with_code(), 2) == [(4, 2), (4, 4)]


def test_a_bottleneck_is_asked_for_again_as_it_is() -> None:
    manifest = a_manifest_with_code()
    cut = manifest.cuts[manifest.bottlenecks[0].cut].name
    assert request_of(manifest) == f"{cut}:slim:8x2"
    told = replace(manifest, provenance={"bottlenecks": "stem>layer1:nested:8x2, layer2"})
    assert request_of(told) == "stem>layer1:nested:8x2"


def test_answers_that_are_kept_are_not_learned_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = an_order(tmp_path)
    taught = []

    def teach(_order: Order, rates: list[tuple[int, int]], answers: Any) -> None:
        taught.append(rates)
        for rate in rates:
            for who, right in (("shared", 80), ("onward", 85), ("alone", 90)):
                answers.add(f"{who} {rate[0]} x {rate[1]}", np.arange(100) < right)

    monkeypatch.setattr(singles, "_teach", teach)
    for _ in range(2):
        (found,) = singles.singles(order, [(4, 4)], tmp_path / "kept.npz")
    assert len(taught) == 1
    assert (found["shared"], found["onward"], found["alone"]) == (0.80, 0.85, 0.90)
    order.trained.write_text("others")
    singles.singles(order, [(4, 4)], tmp_path / "kept.npz")
    assert len(taught) == 2


def an_order(folder: Path) -> Order:
    weights, trained = folder / "weights.pt", folder / "bottlenecks.pt"
    weights.write_text("some")
    trained.write_text("some")
    return Order(
        manifest=a_manifest_with_code(), data="somewhere", weights=weights, trained=trained, size=100, limit=None
    )
