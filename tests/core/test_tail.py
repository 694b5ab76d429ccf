"""Exits in the tail: who leaves where, and that nothing runs for those who have left."""

from collections.abc import Iterator

import numpy as np
import pytest

from offramp.bundle.store import Bundle
from offramp.errors import PlanError
from offramp.plan import NO_EXIT, ExitRule
from offramp.records import EdgeTimings, Feature
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.runtime.runtime import Segment, SegmentOutputs
from offramp.tail import Tail, answer_of, check_exits
from tests.support.tiny_bundle import some_images

COUNT = 24
END = 4
RULE = ExitRule(policy="confidence", thresholds=((1, 0.7), (2, 0.6)))
EVERYBODY = ExitRule(policy="confidence", thresholds=((1, 0.0),))
IMAGES: list[Feature] = [(image[None],) for image in some_images(COUNT, seed=5)]


class Noting(OnnxRuntime):
    """Notes which segments run over how many samples."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self.ran: list[tuple[int, int, bool, int]] = []

    def open(self, start: int, stop: int, *, branch: bool, via: str = "") -> Segment:
        inner, ran = super().open(start, stop, branch=branch, via=via), self.ran

        class Noted:
            spec = inner.spec

            def run(self, feature: Feature) -> SegmentOutputs:
                ran.append((start, stop, branch, len(feature[0])))
                return inner.run(feature)

        return Noted()


@pytest.fixture(scope="module")
def runtime(tiny_bundle: Bundle) -> Iterator[Noting]:
    runtime = Noting(tiny_bundle)
    yield runtime
    runtime.close()


@pytest.fixture
def tail(tiny_bundle: Bundle, runtime: Noting) -> Tail:
    runtime.ran.clear()
    return Tail(tiny_bundle, runtime)


def left(tail: Tail, features: list[Feature], rule: ExitRule = RULE) -> dict[int, tuple[int, list[float]]]:
    """Where each sample's answer was read, and its logits."""
    return {
        row: (heard.cut, logits_K.tolist())
        for heard in tail.leave(0, features, rule)
        for row, logits_K in zip(heard.row_R.tolist(), heard.logits_RK, strict=True)
    }


def test_a_batch_leaves_where_its_samples_would_one_by_one(tail: Tail) -> None:
    together = left(tail, IMAGES)
    alone = [left(tail, [image])[0] for image in IMAGES]
    assert [together[row][0] for row in range(COUNT)] == [cut for cut, _ in alone]
    assert {cut for cut, _ in alone} == {1, 2, END}
    for row, (_, logits) in enumerate(alone):
        assert together[row][1] == pytest.approx(logits, abs=1e-4)


def test_who_leaves_is_who_the_branch_is_sure_about(tail: Tail, runtime: Noting) -> None:
    scores_N = [float(runtime.open(0, 1, branch=True).run(image).scores_NS[0, 0]) for image in IMAGES]  # type: ignore[index]
    found = left(tail, IMAGES, ExitRule(policy="confidence", thresholds=((1, 0.7),)))
    assert [found[row][0] == 1 for row in range(COUNT)] == [score >= 0.7 for score in scores_N]


def test_stages_past_a_branch_run_for_those_who_stayed_alone(tail: Tail, runtime: Noting) -> None:
    cuts = [cut for cut, _ in left(tail, IMAGES).values()]
    past = [sum(cut > asked for cut in cuts) for asked in (1, 2)]
    assert runtime.ran == [(0, 1, True, COUNT), (1, 2, True, past[0]), (2, END, False, past[1])]
    assert COUNT > past[0] > past[1] > 0


def test_when_all_have_left_nothing_more_runs(tail: Tail, runtime: Noting) -> None:
    assert {cut for cut, _ in left(tail, IMAGES, EVERYBODY).values()} == {1}
    assert runtime.ran == [(0, 1, True, COUNT)]


def test_nothing_runs_before_the_next_answer_is_asked_for(tail: Tail, runtime: Noting) -> None:
    next(tail.leave(0, IMAGES, RULE))
    assert [stop for _, stop, _, _ in runtime.ran] == [1]


def test_without_exits_it_is_the_whole_tail(tail: Tail) -> None:
    (heard,) = tail.leave(0, IMAGES, NO_EXIT)
    np.testing.assert_array_equal(heard.logits_RK, tail.run(0, IMAGES))


def test_a_policy_remembers_what_branches_before_said_of_those_who_stay(tail: Tail, runtime: Noting) -> None:
    """Patience of two: at the second branch leave those who heard the same twice, whoever left between."""
    rule = ExitRule(policy="patience", thresholds=((1, 2), (2, 2)))
    first, second = (runtime.open(0, cut, branch=True) for cut in (1, 2))
    same = [first.run(image).logits_NK.argmax() == second.run(image).logits_NK.argmax() for image in IMAGES]  # type: ignore[union-attr]
    assert [cut == 2 for _, (cut, _) in sorted(left(tail, IMAGES, rule).items())] == same


def test_what_the_exits_need_is_opened_before_the_first_request(tiny_bundle: Bundle) -> None:
    opened: list[tuple[int, int, bool]] = []

    class Opening(OnnxRuntime):
        def open(self, start: int, stop: int, *, branch: bool, via: str = "") -> Segment:
            opened.append((start, stop, branch))
            return super().open(start, stop, branch=branch, via=via)

    with_exits = Opening(tiny_bundle)
    Tail(tiny_bundle, with_exits).open(0, "raw", RULE)
    with_exits.close()
    assert {(0, END, False), (0, 1, True), (1, 2, True), (2, END, False)} == set(opened)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (ExitRule(policy="confidence", thresholds=((3, 0.9),)), "cannot ask branch 3 after split 1"),
        (ExitRule(policy="confidence", thresholds=((1, 0.9),)), "has branches past it at 2"),
        (ExitRule(policy="confidense", thresholds=((2, 0.9),)), "did you mean 'confidence'"),
        (ExitRule(policy="confidence", thresholds=((2, 1.5),)), "1.5 of branch 2 is out of range"),
        (ExitRule(policy="difference", thresholds=((2, 0.1),)), "an edge keeps no state of streams"),
    ],
)
def test_exits_that_no_edge_can_follow_are_refused(tiny_bundle: Bundle, rule: ExitRule, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        check_exits(rule, 1, tiny_bundle.manifest)


def test_an_answer_is_one_of_the_classes_that_are_alive() -> None:
    logits_K = np.array([3.0, 2.0, 1.0], np.float32)
    alive_K = np.array([False, True, True])
    answer = answer_of(logits_K, EdgeTimings(), alive_K=alive_K)
    assert (answer.label, answer.logits.tolist(), answer.logits.dtype) == (1, [-np.inf, 2.0, 1.0], np.float32)
    assert answer_of(logits_K, EdgeTimings(), alive_K=alive_K, label=2).label == 2
    assert answer_of(logits_K, EdgeTimings(), alive_K=alive_K, label=0).label == 1, "excluded, whatever a policy says"
