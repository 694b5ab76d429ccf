import pytest

from offramp.errors import PlanError
from offramp.plan import Plan, parse_plan
from offramp.planning.resolve import check, default_plan, resolve
from tests.support.manifests import a_manifest

MANIFEST = a_manifest()


def test_one_threshold_asks_every_branch_up_to_the_split() -> None:
    assert resolve("split=3, exit=confidence:0.85", MANIFEST).exit.thresholds == ((1, 0.85), (2, 0.85))


def test_branches_may_be_named_by_index_or_by_cut_name_in_any_order() -> None:
    plan = resolve("split=block3, exit=margin:0.4@block2/0.7@1", MANIFEST)
    assert (plan.split, plan.exit.thresholds) == (3, ((1, 0.7), (2, 0.4)))


def test_one_threshold_in_the_tail_asks_every_branch_past_the_split() -> None:
    plan = resolve("split=1, exit=confidence:0.8, tail=margin:0.5, queue=8", MANIFEST)
    assert (plan.exit.asked, plan.tail.asked, plan.queue) == ((1,), (2,), 8)


@pytest.mark.parametrize("rule", ["exclusion:0.1", "exclusion-monotone:0.1", "difference:0.1@1+exclusion:0.1@2"])
def test_a_mask_is_sent_under_every_policy_that_excludes_classes(rule: str) -> None:
    assert resolve(f"split=2, exit={rule}, mask=on", MANIFEST).mask


def test_split_end_sends_nothing_and_needs_no_codec() -> None:
    assert resolve("split=end", MANIFEST) == Plan(split=4, codec="none")


def test_the_text_of_a_plan_reads_back() -> None:
    plan = resolve(
        "split=1, exit=confidence:0.85, tail=margin:0.5@block2, queue=4, codec=affine8+zstd, unsure=0.6:float32",
        MANIFEST,
    )
    assert resolve(str(plan), MANIFEST) == plan


def test_the_default_asks_every_branch_and_splits_at_the_last() -> None:
    assert str(default_plan(MANIFEST)) == "split=2, exit=confidence:0.9@1/0.9@2, codec=affine8+zstd"


def test_without_branches_the_default_sends_the_input() -> None:
    assert default_plan(a_manifest(branches=())).split == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("split=9", "cut 9 is past the end"),
        ("split=blok2", "did you mean 'block2'"),
        ("exit=confidence:0.9", "has no split"),
        ("split=2, split=3", "gives split twice"),
        ("split=2, speed=3", "no plan field 'speed'"),
        ("split=2, exit=confidence", "has no threshold"),
        ("split=2, exit=confidence:high", "'high'"),
        ("split=2, exit=confidence:1.5", "threshold 1.5 of branch 1 is out of range"),
        ("split=2, exit=confidence:nan", "out of range"),
        ("split=2, exit=confidenc:0.5", "did you mean 'confidence'"),
        ("split=3, exit=confidence:0.5@3", "no branch at cut 3"),
        ("split=1, exit=confidence:0.5@2", "past split 1"),
        ("split=0, exit=confidence:0.5", "could never fire"),
        ("split=2, codec=affine9", "affine"),
        ("split=2, codec=jpeg:90", "jpeg"),
        ("split=0, codec=affine8", "affine8"),
        ("split=end, codec=affine8", "sends nothing"),
        ("split=2, tail=confidence:0.9", "no branch hangs past split 2, so tail=confidence could never fire"),
        ("split=1, tail=confidence:0.9@3", "cannot ask branch 3 after split 1: .* has branches past it at 2"),
        ("split=1, tail=confidence:0.9@1", "branch 1 lies at or before split 1"),
        ("split=1, tail=confidenc:0.9", "did you mean 'confidence'"),
        ("split=end, tail=confidence:0.9@2", "branch 2 lies at or before split 4"),
        ("split=2, exit=confidence:0.9, mask=on", "excludes no class, so mask=on would send nothing"),
        ("split=2, exit=confidence:0.9, unsure=0.6:affine9", "there is no codec 'affine9'; did you mean 'affine8'"),
        ("split=2, exit=confidence:0.9, unsure=0.6:slim/affine8", "there is no bottleneck 'slim'"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused_with_the_way_out(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        resolve(text, MANIFEST)


def test_a_plan_from_elsewhere_is_checked_too() -> None:
    with pytest.raises(PlanError, match="past the end"):
        check(Plan(split=7, codec="affine8"), MANIFEST)


def test_reading_a_plan_keeps_what_was_written() -> None:
    assert parse_plan("split = 2 , codec = float16").codec == "float16"
