"""Who runs in the demo, with which plans."""

import pytest

from offramp.errors import PlanError
from offramp.plan import ExitRule, Plan
from offramp.planning.candidates import Candidate
from offramp.planning.cost import CostModel
from offramp.planning.objective import Objective
from offramp.units import Seconds
from offramp_evaluation.demo.contenders import Chooser, Contender
from offramp_evaluation.demo.script import Script
from tests.support.plans import a_candidate, a_profile, some_candidates

BOARD, EDGE = a_profile((0.0, 0.020, 0.080)), a_profile((0.0, 0.001, 0.003))
EARLY = ExitRule(policy="confidence", thresholds=((1, 0.9),))

WHOLE = a_candidate(split=2, codec="none", accuracy=0.95)
JPEG = a_candidate(split=0, codec="jpeg:90", accuracy=0.95, payload=3000)
SPLIT = a_candidate(split=1, accuracy=0.95, payload=4000)
EXITS = a_candidate(split=1, exit=EARLY, reach=(1.0,), offload=0.4, accuracy=0.945, payload=4000)
ALONE = a_candidate(split=2, exit=EARLY, codec="none", reach=(1.0,), offload=0.4, accuracy=0.945)


def contenders(*candidates: Candidate, drop: float = 0.01) -> dict[str, Contender]:
    shipped = some_candidates(*candidates)
    script = Script(seconds=Seconds(6.0), rate=8.0)
    chooser = Chooser(shipped, CostModel(shipped, BOARD, EDGE), script, Objective(drop=drop))
    return {one.name: one for one in chooser.contenders()}


def test_the_rows_are_the_baselines_and_what_the_orchestrator_plans() -> None:
    found = contenders(WHOLE, JPEG, SPLIT, EXITS, ALONE)
    assert {name: one.plan for name, one in found.items()} == {
        "device only": WHOLE.plan(),
        "edge only": JPEG.plan(),
        "split": SPLIT.plan(),
        "best static": ALONE.plan(),
        "Offramp": None,
    }
    assert [one.name for one in found.values() if one.adapts] == ["Offramp"]


def test_a_baseline_gets_the_smallest_input_that_holds_the_accuracy() -> None:
    small = a_candidate(split=0, codec="jpeg:75", accuracy=0.945, payload=2000)
    poor = a_candidate(split=0, codec="jpeg:50", accuracy=0.80, loss_high=0.2, payload=1000)
    assert getattr(contenders(WHOLE, JPEG, small, poor, SPLIT)["edge only"].plan, "codec", "") == "jpeg:75"


def test_a_baseline_that_cannot_hold_the_accuracy_is_as_accurate_as_it_can() -> None:
    worse = a_candidate(split=0, codec="jpeg:75", accuracy=0.90, loss_high=0.08, payload=2000)
    better = a_candidate(split=0, codec="jpeg:95", accuracy=0.92, loss_high=0.05, payload=2000)
    assert getattr(contenders(WHOLE, worse, better, SPLIT)["edge only"].plan, "codec", "") == "jpeg:95"


def test_a_split_that_keeps_up_with_every_link_beats_a_faster_one_that_does_not() -> None:
    # 0.64 Mbit/s at 8 a second
    heavy = a_candidate(split=1, codec="float16+zstd", accuracy=0.95, payload=10_000)
    assert contenders(WHOLE, JPEG, heavy, SPLIT)["split"].plan == SPLIT.plan()


def test_a_larger_acceptable_loss_admits_cheaper_plans() -> None:
    cheap = a_candidate(split=1, exit=EARLY, reach=(1.0,), offload=0.0, accuracy=0.90, loss_high=0.05, payload=0)
    strict, lax = (contenders(WHOLE, JPEG, SPLIT, EXITS, ALONE, cheap, drop=drop) for drop in (0.01, 0.06))
    assert strict["best static"].plan != cheap.plan()
    assert lax["best static"].plan == cheap.plan()


def test_without_a_jpeg_among_the_candidates_the_usual_one_is_the_baseline() -> None:
    assert contenders(WHOLE, SPLIT)["edge only"].plan == Plan(split=0, codec="jpeg:90")


def test_a_bundle_without_a_baseline_is_refused() -> None:
    with pytest.raises(PlanError, match="no candidate without exits"):
        contenders(WHOLE, JPEG, EXITS)
