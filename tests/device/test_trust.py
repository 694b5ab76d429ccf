"""What is known of branches outlives changes of the plan."""

import numpy as np

from offramp.measure.drift import DriftEvent
from offramp.planning.resolve import resolve
from offramp.planning.rules import PATHS
from offramp_device.trust import Trust
from tests.support.manifests import a_manifest

LENIENT, STRICT = "split=3, exit=confidence:0.6@1, codec=float32", "split=3, exit=confidence:0.95@1, codec=float32"
NOBODY = "split=3, exit=none, codec=float32"
SURE = np.full((1, 4), 0.99, np.float32)
BARELY = np.full((1, 4), 0.65, np.float32)


def a_trust(events: list[DriftEvent] | None = None) -> Trust:
    trust = Trust(alarmed=(events if events is not None else []).append)
    follow(trust, LENIENT)
    return trust


def follow(trust: Trust, plan: str, promise: float = 0.95) -> None:
    trust.follow(resolve(plan, a_manifest()), promise)


def disagree(trust: Trust, scores: np.ndarray = BARELY, samples: int = 2_000) -> None:
    """As many samples leave, and those that are shadowed turn out to be wrong."""
    for _ in range(samples):
        if shadowed := trust.left():
            trust.label(1, scores, agrees=False, shadowed=shadowed)


def agree(trust: Trust, scores: np.ndarray = SURE, samples: int = 2_000) -> None:
    for _ in range(samples):
        if shadowed := trust.left():
            trust.label(1, scores, agrees=True, shadowed=shadowed)


def test_labels_that_disagree_raise_caution_and_are_told_once() -> None:
    events: list[DriftEvent] = []
    trust = a_trust(events)
    disagree(trust, samples=700)
    report = trust.report()
    assert trust.caution > 2
    assert report is not None
    assert report.event == str(events[-1])
    assert trust.report().event == ""  # type: ignore[union-attr]


def test_caution_stays_when_a_stricter_plan_follows_it() -> None:
    """Else whoever steers would take it for good news, and go back to the lenient plan."""
    trust = a_trust()
    disagree(trust, samples=700)
    raised = trust.caution
    follow(trust, STRICT)
    assert trust.caution == raised


def test_caution_goes_over_to_another_policy() -> None:
    trust = a_trust()
    disagree(trust, samples=700)
    raised = trust.caution
    follow(trust, "split=3, exit=margin:0.995@1, codec=float32")
    assert trust.caution == min(raised, len(PATHS["margin"]))


def test_a_plan_that_lets_nobody_leave_changes_nothing() -> None:
    trust = a_trust()
    disagree(trust, samples=700)
    raised = trust.caution
    follow(trust, NOBODY)
    assert (trust.caution, trust.asks) == (raised, 1)


def test_good_labels_bring_caution_down_again() -> None:
    trust = a_trust()
    disagree(trust, samples=700)
    raised = trust.caution
    for _ in range(3_000):
        trust.label(1, SURE, agrees=True, shadowed=0.0)
    assert trust.caution < raised


def test_without_a_plan_that_exits_there_is_nothing_to_tell() -> None:
    trust = Trust()
    follow(trust, NOBODY)
    assert (trust.left(), trust.caution, trust.report()) == (0.0, 0, None)


def test_when_all_is_well_a_new_plan_brings_its_own_promise() -> None:
    trust = a_trust()
    agree(trust)
    follow(trust, STRICT, promise=0.99)
    agree(trust)
    report = trust.report()
    assert report is not None
    assert (report.caution, report.agreement) == (0, 1.0)


def test_nobody_is_watched_where_no_share_is_to_be_shadowed() -> None:
    trust = Trust(0.0)
    follow(trust, LENIENT)
    assert (trust.left(), trust.caution, trust.report()) == (0.0, 0, None)


SCENES = "split=3, exit=difference:0.1@1+confidence:0.6@2, codec=float32"


def test_under_a_temporal_rule_the_one_with_a_path_is_watched() -> None:
    trust = Trust()
    follow(trust, SCENES)
    assert trust.asks == 2
    for _ in range(700):
        trust.label(2, BARELY, agrees=False, shadowed=trust.left())
    assert trust.caution > 0


def test_labels_of_a_branch_that_only_recognises_scenes_are_not_held_against_the_others() -> None:
    trust = Trust()
    follow(trust, SCENES)
    for _ in range(700):
        trust.label(1, BARELY, agrees=False, shadowed=trust.left())
    assert (trust.caution, trust.report()) == (0, None)


def test_a_rule_without_a_path_changes_nothing() -> None:
    trust = a_trust()
    disagree(trust, samples=700)
    raised = trust.caution
    follow(trust, "split=3, exit=patience:2, codec=float32")
    assert (trust.caution, trust.asks) == (raised, 1)
