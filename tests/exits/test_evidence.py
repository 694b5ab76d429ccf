"""What counts as one draw: samples, groups, or blocks of a stream."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.bundle.manifest import Manifest
from offramp.errors import SettingsError
from offramp.exits.evidence import evidence_of, numbered, units_of
from tests.support.evidence import some_evidence
from tests.support.manifests import a_manifest
from tests.support.tapes import write_a_tape


@pytest.fixture
def manifest() -> Manifest:
    return a_manifest()


def test_single_samples_are_units_of_their_own() -> None:
    assert units_of(some_evidence(50), temporal=False).many == "50 samples"


def test_groups_are_units_whatever_the_policy() -> None:
    evidence = some_evidence(50, group=5)
    assert [units_of(evidence, temporal=temporal).many for temporal in (False, True)] == ["10 groups", "10 groups"]


def test_a_temporal_policy_asks_for_blocks_where_samples_come_alone() -> None:
    with pytest.raises(SettingsError, match="give --block N"):
        units_of(some_evidence(50), temporal=True)
    assert units_of(some_evidence(50), temporal=True, block=20).many == "3 blocks of 20 samples"


def test_no_block_reaches_into_another_stream() -> None:
    evidence = replace(some_evidence(6), stream_N=np.array([0, 1, 0, 1, 0, 1]))
    number_N = units_of(evidence, temporal=False, block=2).number_N
    assert number_N[[0, 2]].tolist() == [number_N[0]] * 2
    assert len(set(number_N.tolist())) == 4


def test_a_tape_is_evidence_of_each_of_its_subsets(tmp_path: Path, manifest: Manifest) -> None:
    tape = write_a_tape(tmp_path / "a.tape", manifest)
    evidence = evidence_of(tape, "test")
    assert len(evidence) == len(tape)
    assert evidence.final_label_N.tolist() == tape.final().label_N.tolist()
    heard = evidence.hear(2, np.array([3, 5]))
    assert heard.logits_NK.tolist() == tape.branch(2).logits_Nk[[3, 5]].tolist()


def test_streams_are_numbered_by_name() -> None:
    assert numbered(np.array(["b", "a", "b"])).tolist() == [1, 0, 1]
