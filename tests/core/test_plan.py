import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import PlanError
from offramp.plan import NO_EXIT, ExitRule, ExitText, Plan, PlanText, Unsure, parse_plan, parse_rule
from offramp.records import Revision

thresholds = st.dictionaries(st.integers(0, 9), st.floats(0, 1)).map(lambda found: tuple(sorted(found.items())))
plain = thresholds.map(lambda pairs: ExitRule(policy="entropy", thresholds=pairs) if pairs else NO_EXIT)
rules = plain | st.tuples(thresholds, plain).map(
    lambda both: (
        replace(both[1], over=ExitRule(policy="margin", thresholds=both[0]))
        if both[0] and both[1].thresholds
        else both[1]
    )
)


@given(
    rule=rules,
    tail=thresholds.map(lambda pairs: tuple((cut + 31, threshold) for cut, threshold in pairs)),
    split=st.integers(9, 30),
    codec=st.sampled_from(["none", "affine8+zstd", "jpeg:75"]),
    queue=st.integers(0, 10_000),
    mask=st.booleans(),
    below=st.none() | st.floats(0, 1, exclude_min=True),
)
def test_a_printed_plan_reads_back_to_the_last_digit(
    rule: ExitRule,
    tail: tuple[tuple[int, float], ...],
    split: int,
    codec: str,
    queue: int,
    mask: bool,
    below: float | None,
) -> None:
    doubts = below is not None and rule.thresholds and codec != "none"
    plan = Plan(
        split=split,
        exit=rule,
        tail=ExitRule(policy="margin", thresholds=tail) if tail else NO_EXIT,
        queue=queue if tail else 0,
        mask=mask and rule.thresholds != (),
        codec=codec,
        unsure=Unsure(below=below, codec="slim/affine4:8+range") if doubts and below else None,
    )
    assert parse_plan(str(plan)) == PlanText(
        split=str(split),
        exits=written(rule),
        tails=written(plan.tail),
        queue=plan.queue,
        mask=plan.mask,
        codec=codec,
        unsure=plan.unsure,
    )


def written(rule: ExitRule) -> tuple[ExitText, ...]:
    return tuple(
        ExitText(policy=part.policy, thresholds=tuple((str(cut), threshold) for cut, threshold in part.thresholds))
        for part in rule.parts
        if part.thresholds
    )


@given(rule=rules)
def test_a_printed_rule_reads_back(rule: ExitRule) -> None:
    assert parse_rule(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no threshold"),
        ("confidence:0.9", "names no branches by their cuts"),
        ("confidence:0.9@layer3", "names no branches by their cuts"),
        ("confidence:0.9@99999", "names no branches by their cuts"),
        ("confidence:0.9@3/0.8@2", "met in order"),
    ],
)
def test_a_rule_that_names_its_branches_otherwise_is_refused(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        parse_rule(text)


def test_one_threshold_may_stand_for_all_branches() -> None:
    assert parse_plan("split=3, exit=confidence:0.85") == PlanText(
        split="3", exits=(ExitText(policy="confidence", threshold=0.85),)
    )


@given(st.text(max_size=60))
def test_any_text_is_a_plan_or_a_plan_error(text: str) -> None:
    with contextlib.suppress(PlanError):
        assert parse_plan(text).split


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no split"),
        ("split", "is not a field of a plan"),
        ("split=", "is not a field of a plan"),
        ("splt=3", "did you mean 'split'"),
        ("split=3, exit=confidence:0.5@", "names no branch"),
        ("split=3, exit=confidence:0.5@1/0.6", "names no branch"),
        ("split=3, tail=confidence", "tail=confidence has no threshold; write tail=confidence:0.85"),
        ("split=3, queue=few", "queue=few is no number of waiting requests"),
        ("split=3, queue=-1", "queue=-1 is no number of waiting requests"),
        ("split=3, mask=yes", "mask=yes is neither on nor off"),
        ("split=3, unsure=0.6", "unsure=0.6 names no codec; write unsure=0.6:affine8"),
        ("split=3, unsure=few:affine8", "'few' in unsure=few:affine8 is not a threshold"),
        ("split=3, unsure=0:affine8", "a confidence lies between 0 and 1, and none is below 0"),
        ("split=3, unsure=nan:affine8", "a confidence lies between 0 and 1"),
    ],
)
def test_a_malformed_plan_is_refused_with_the_way_out(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        parse_plan(text)


def test_a_rule_that_stands_over_another_asks_the_branches_of_both() -> None:
    under = ExitRule(policy="confidence", thresholds=((2, 0.9), (3, 0.8)))
    rule = ExitRule(policy="margin", thresholds=((1, 0.5), (3, 0.5)), over=under)
    assert rule.asked == (1, 2, 3)
    with pytest.raises(PlanError, match="branch 3 is past split 2"):
        Plan(split=2, exit=rule)


@pytest.mark.parametrize("threshold", [-0.1, 10_001, float("nan"), float("inf")])
def test_a_threshold_is_a_number_of_sensible_size(threshold: float) -> None:
    with pytest.raises(PlanError, match="out of range; give one between 0 and 10,000"):
        ExitRule(policy="confidence", thresholds=((1, threshold),))


@pytest.mark.parametrize("cuts", [(2, 1), (1, 1)])
def test_branches_are_met_in_order_each_once(cuts: tuple[int, int]) -> None:
    with pytest.raises(PlanError, match="met in order, each once"):
        ExitRule(policy="confidence", thresholds=tuple((cut, 0.5) for cut in cuts))


def test_a_branch_past_the_split_would_never_be_reached() -> None:
    with pytest.raises(PlanError, match=r"branch 3 is past split 2 and would never be reached; .* split at 3"):
        Plan(split=2, exit=ExitRule(policy="confidence", thresholds=((3, 0.5),)))


def test_a_branch_of_the_tail_lies_past_the_split() -> None:
    with pytest.raises(PlanError, match="branch 2 lies at or before split 2, where the device is asked"):
        Plan(split=2, tail=ExitRule(policy="confidence", thresholds=((2, 0.5), (3, 0.5))))


def test_a_queue_without_exits_at_the_edge_means_nothing() -> None:
    with pytest.raises(PlanError, match="queue=8 says when the exits at the edge apply, and there are none"):
        Plan(split=2, queue=8)
    with pytest.raises(PlanError, match="queue=10001 is no number of waiting requests"):
        Plan(split=2, tail=ExitRule(policy="confidence", thresholds=((3, 0.5),)), queue=10_001)


def test_a_mask_without_an_exit_policy_means_nothing() -> None:
    with pytest.raises(PlanError, match="mask=on sends what an exit policy has excluded"):
        Plan(split=2, mask=True)


def test_whom_a_branch_is_not_sure_of_needs_a_branch_and_another_codec() -> None:
    asked = ExitRule(policy="confidence", thresholds=((1, 0.9),))
    with pytest.raises(PlanError, match="unsure=0.6:affine8 looks at how sure the last branch asked is, and none is"):
        Plan(split=2, codec="affine4", unsure=Unsure(below=0.6, codec="affine8"))
    for codec in ("affine8", "none"):
        with pytest.raises(PlanError, match=f"unsure=0.6:affine8 beside codec={codec} changes nothing"):
            Plan(split=2, exit=asked, codec=codec, unsure=Unsure(below=0.6, codec="affine8"))


def test_an_unsure_samples_plan_differs_in_its_codec_alone() -> None:
    asked = ExitRule(policy="confidence", thresholds=((1, 0.9),))
    plan = Plan(split=2, exit=asked, codec="slim/affine4:4", unsure=Unsure(below=0.6, codec="slim/affine8"))
    assert str(plan) == "split=2, exit=confidence:0.9@1, codec=slim/affine4:4, unsure=0.6:slim/affine8"
    assert plan.when_unsure == Plan(split=2, exit=asked, codec="slim/affine8")
    assert (plan.via, plan.when_unsure.via, Plan(split=2, codec="affine8").via) == ("slim", "slim", "")


def test_nothing_is_split_before_the_input() -> None:
    with pytest.raises(PlanError, match="split -1 lies before the input"):
        Plan(split=-1)


def test_a_revised_plan_is_the_same_plan_of_a_later_revision() -> None:
    plan = Plan(split=2, codec="affine8")
    assert plan.revised(Revision(1, 2)) == Plan(split=2, codec="affine8", revision=Revision(1, 2))
    assert str(Revision(1, 2)) == "1.2"
