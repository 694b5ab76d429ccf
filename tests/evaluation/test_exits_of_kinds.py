"""Exits of several kinds in one contest, networks trained with theirs apart, and what the bitmap does at the edge."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from benchmarks.exits import chapter
from benchmarks.exits.__main__ import claims_of
from benchmarks.exits.bitmap import masked, masked_along_paths
from benchmarks.exits.contest import Subject, instance_policies
from benchmarks.exits.kinds import asked_of, by_kind, named
from benchmarks.exits.subjects import trained_for
from benchmarks.exits.tasks import TASKS, Task
from offramp.errors import InputError
from offramp.exits.charge import Charge
from offramp.plan import ExitRule
from offramp_builder.joint.settings import JointSettings
from tests.support.evidence import some_evidence

KINDS = ["conv2", "eenets", "exclusion"]
POLICIES = ["confidence", "margin", "own", "exclusion", "exclusion-monotone", "patience"]


def a_subject(kind: str, *, seed: int = 2) -> Subject:
    return Subject(
        name="seeded",
        seed=0,
        place=f"bundles/{kind}",
        kind=kind,
        charge=Charge(before={1: 10.0, 2: 40.0}, branch={1: 1.0, 2: 2.0}, whole=100.0),
        final_temperature=1.0,
        calibration=some_evidence(300, seed=1),
        test=some_evidence(300, seed=seed, subset="test"),
    )


def test_a_kind_is_asked_for_what_it_learned_and_for_what_all_say() -> None:
    assert asked_of("conv2", KINDS, POLICIES) == ["confidence", "margin", "patience"]
    assert asked_of("eenets", KINDS, POLICIES) == ["confidence", "own"]
    assert asked_of("exclusion", KINDS, POLICIES) == ["confidence", "exclusion", "exclusion-monotone"]


def test_a_kind_that_is_alone_is_asked_everything() -> None:
    assert asked_of("eenets", ["eenets"], POLICIES) == POLICIES


def test_all_kinds_together_are_asked_every_policy() -> None:
    policies = [*instance_policies(a_subject("conv2")), "own"]
    assert {policy for kind in KINDS for policy in asked_of(kind, KINDS, policies)} == set(policies)


def test_bundles_of_a_kind_are_seeds() -> None:
    conv, again, eenets = a_subject("conv2"), a_subject("conv2"), a_subject("eenets")
    assert by_kind([conv, eenets, again]) == {"conv2": [conv, again], "eenets": [eenets]}


def test_branches_on_another_network_stand_apart() -> None:
    with pytest.raises(InputError, match="bundles/eenets answers .* otherwise than bundles/conv2.*--apart"):
        by_kind([a_subject("conv2"), a_subject("eenets", seed=3)])


def test_the_bitmap_loses_whoever_a_branch_has_struck_out_wrongly() -> None:
    """Four samples stay: the first branch strikes out the truth of the first, and what misleads the end of the second.

    Classes that are left: two, so that nobody leaves.
    """
    truth_N, final_N = np.array([0, 0, 1, 2]), np.array([0, 3, 1, 2])
    alive_NK = np.array([[0, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0]])
    heard_NK = np.where(alive_NK, 4.0, -9.0).astype(np.float32)
    said = some_evidence(4, cuts=(1,))
    said = replace(said, truth_N=truth_N, final_NK=np.eye(4, dtype=np.float32)[final_N], logits={1: heard_NK})
    found = masked(said, ExitRule(policy="exclusion", thresholds=((1, 0.5),)))
    assert (found.sent, found.right, found.masked) == (1.0, 0.75, 0.75)
    spared = masked(replace(said, truth_N=np.array([1, 0, 1, 2])), ExitRule(policy="exclusion", thresholds=((1, 0.5),)))
    assert (spared.right, spared.gained) == (0.5, 0.5)


def test_the_bitmap_is_judged_by_rules_that_keep_the_promise_and_send_somebody() -> None:
    found = masked_along_paths(a_subject("exclusion"), Task(name="t", title="t", recipe="none", drop=0.01))
    assert {one.policy for one in found} == {"exclusion", "exclusion-monotone"}
    assert min(one.sent for one in found) > 0


def test_how_long_network_and_branches_learned_is_read_from_what_the_build_says() -> None:
    settings = JointSettings(loss="distill", epochs=17, small_first=((8, 24), (2, 28)), weights=(0.3, 1.0))
    said = ", ".join(f"{key}={value}" for key, value in asdict(settings).items())
    assert trained_for(said) == "17, 8 at 24 px, 2 at 28 px"
    assert trained_for("") == ""


def a_score(policy: str, operations: float, lost: float = 0.0) -> dict[str, Any]:
    told = {"policy": policy, "rule": policy, "operations": operations, "measures": {"accuracy": 0.9 - lost}}
    return {**told, "lost": lost, "leave": {}, "error": 0.1}


def a_contest(kind: str, *scores: dict[str, Any], trained: str = "") -> dict[str, Any]:
    return {"kind": kind, "seed": 0, "trained": trained, "scores": [a_score("none", 1.0), *scores]}


def a_record(**more: Any) -> dict[str, Any]:
    return {
        "task": "cifar10",
        "data": {"name": "seeded", "test": 300},
        "macs": 1e6,
        "first_exit": 0.1,
        "drop": 0.005,
        "kind": "conv2",
        "seeds": [a_contest("conv2", a_score("margin", 0.7))] * 2,
        "kinds": {"eenets": [a_contest("eenets", a_score("confidence", 0.95), a_score("own", 0.6))]},
        "curves": {},
        "apart": {},
        "bitmap": {},
        **more,
    }


def test_every_kind_has_its_rows_and_the_network_without_exits_one() -> None:
    text = chapter.chapter([a_record()])
    assert "| `margin` | conv2 | 70.0 ± 0.0 |" in text
    assert "| `own` | eenets | 60.0 |" in text
    assert text.count("`none`") == 1
    assert "kept the promise: `own` on eenets branches, 60.0 %" in text


def test_times_belong_to_a_policy_on_a_kind() -> None:
    wall = {named("own", "eenets", ["conv2", "eenets"]): {"p50": 1e-3, "p95": 2e-3}}
    rows = [line for line in chapter.chapter([a_record(wall=wall)]).splitlines() if "1.00 / 2.00" in line]
    assert [row.split(" | ")[:2] for row in rows] == [["| `own`", "eenets"]]


def test_a_network_apart_says_how_long_it_learned_its_best_and_what_its_branches_learned_for() -> None:
    scores = a_score("margin", 0.5), a_score("own", 0.55, lost=0.01)
    text = chapter.chapter([a_record(apart={"together": a_contest("eenets", *scores, trained="17")})])
    assert "| together | eenets | 17 | 90.0 | `margin` | 50.0 | 0.00 | 90.0 |" in text
    assert "|  |  |  |  | **`own`** | **55.0** | **1.00** | **89.0** |" in text


def test_networks_apart_are_compared_where_they_lose_alike() -> None:
    """A rule that was tuned to lose as much may have lost more: it is no worse for that."""
    near = a_score("margin", 0.5, lost=0.007) | {"matched": 0.52}
    far = a_score("entropy", 0.56) | {"matched": 0.55}
    apart = {"together": a_contest("conv3", near, far)}
    text = chapter.chapter([a_record(apart=apart)])
    assert "| **`margin`** | **50.0** | **0.70** | **89.3** | **52.0** |" in text
    assert "`entropy`" not in text
    *tuned, level = claims_of(TASKS["cifar10"], a_record(apart=apart))
    assert (level.found, level.limit, level.detail) == (0.52, 0.55, "margin on conv3")
    assert [claim.found for claim in tuned] == [0.56, 0.0]
    assert len(claims_of(TASKS["cifar10"], a_record())) == 2


def test_the_worst_that_the_bitmap_does_is_told() -> None:
    rule = {"policy": "exclusion", "rule": "exclusion:0.1@1", "sent": 0.5}
    rules = [{**rule, "right": 0.9, "masked": 0.91}, {**rule, "rule": "exclusion:0.2@1", "right": 0.9, "masked": 0.88}]
    text = chapter.chapter([a_record(bitmap={"seed 0": rules})])
    assert "in 1, about fewer in 1; at worst by 2.00 points fewer (`exclusion:0.2@1`, seed 0" in text
