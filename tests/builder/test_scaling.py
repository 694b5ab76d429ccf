"""Vector scaling replaces the temperature where it says more of samples that it was not fitted to, and only there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from offramp.bundle.store import open_bundle
from offramp.errors import SettingsError
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp_builder.branches.settings import BranchSettings
from offramp_builder.bundle import write_bundle
from offramp_builder.choose import choose_cuts
from offramp_builder.features import run_to
from offramp_builder.scaling import ScaledBranch, Scaling, choose_scaling, fit_vector
from offramp_builder.segments import Branch
from offramp_builder.temperature import negative_log_likelihood
from tests.builder.building import captured_network
from tests.builder.test_temperature import logits_that_mean_what_they_say
from tests.support.models import Pooled


def some(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    logits_NK, truth_N = logits_that_mean_what_they_say(seed)
    return logits_NK[:count], truth_N[:count], np.arange(count)


def test_a_temperature_is_enough_where_all_classes_are_alike() -> None:
    logits_NK, truth_N, unit_N = some(3_000)
    chosen = choose_scaling(3 * logits_NK, truth_N, unit_N)
    assert chosen.vector is None
    assert chosen.temperature == pytest.approx(3, rel=0.1)


def test_a_class_that_is_overrated_brings_the_vector() -> None:
    logits_NK, truth_N, unit_N = some(3_000)
    bent_NK = logits_NK * np.array([3, 1, 1, 1, 1], np.float32) + np.array([0, 2, 0, 0, 0], np.float32)
    chosen = choose_scaling(bent_NK, truth_N, unit_N)
    assert chosen.temperature == 1.0
    others_NK, others_N = (part[10_000:] for part in logits_that_mean_what_they_say(0))
    bent_others_NK = others_NK * np.array([3, 1, 1, 1, 1], np.float32) + np.array([0, 2, 0, 0, 0], np.float32)
    found = negative_log_likelihood(chosen.scaled(bent_others_NK), others_N, 1.0)
    assert found == pytest.approx(negative_log_likelihood(others_NK, others_N, 1.0), rel=0.02)


def test_a_vector_undoes_what_was_done_to_each_class() -> None:
    logits_NK, truth_N, _ = some(20_000)
    scale_K, bias_K = fit_vector(logits_NK * np.array([2, 1, 0.5, 1, 1], np.float32), truth_N, 1.0)
    assert scale_K == pytest.approx([0.5, 1, 2, 1, 1], rel=0.1)
    assert bias_K == pytest.approx([0] * 5, abs=0.1)


def test_few_samples_do_not_bring_a_vector() -> None:
    logits_NK, truth_N, unit_N = some(60)
    assert choose_scaling(logits_NK, truth_N, unit_N).vector is None


def test_dependent_samples_count_as_one() -> None:
    logits_NK, truth_N, _ = (np.repeat(part, 100, axis=0) for part in some(30))
    assert choose_scaling(logits_NK, truth_N, np.repeat(np.arange(30), 100)).vector is None


def test_a_scaled_branch_says_what_the_scaling_says_and_keeps_its_confidence() -> None:
    class Sure(nn.Module):
        def forward(self, feature: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return feature, feature[:, 0]

    scaling = Scaling(temperature=1.0, vector=(np.array([2, 1], np.float32), np.array([0, 1], np.float32)))
    assert scaling.vector is not None
    feature = torch.tensor([[1.0, 3.0]])
    logits, own = ScaledBranch(Sure(), *scaling.vector)(feature)
    assert logits.numpy() == pytest.approx(scaling.scaled(feature.numpy()))
    assert own.tolist() == [1.0]


def test_the_build_scales_class_by_class_only_where_it_is_asked_to() -> None:
    with pytest.raises(SettingsError, match="did you mean 'vector'"):
        BranchSettings(scaling="vectors")
    assert BranchSettings().scaling == "temperature"


def test_a_bundle_says_what_its_scaled_branch_says(tmp_path: Path) -> None:
    captured = captured_network("zoo:resnet8")
    kept = choose_cuts(captured, "2")
    torch.manual_seed(0)
    plain = Pooled(captured.cuts[kept[1]].tensors[0].spec.shape, captured.classes).eval()
    classes = np.arange(captured.classes, dtype=np.float32)
    scaling = Scaling(temperature=1.0, vector=(1 + classes / 10, -classes / 5))
    branch = Branch(position=kept[1], kind="linear", network=scaling.applied(plain), scaling=scaling.name)
    labels = [f"class {index}" for index in range(captured.classes)]
    manifest = write_bundle(tmp_path / "bundle", captured, kept, name="scaled", labels=labels, branches=[branch])
    feature = run_to(captured, [kept[1]], captured.examples)[kept[1]]
    with OnnxRuntime(open_bundle(tmp_path / "bundle")) as runtime, torch.no_grad():
        found_NK = runtime.open(0, 1, branch=True).run((captured.examples.numpy(),)).logits_NK
        expected_NK = scaling.scaled(plain(*feature).numpy())
    assert manifest.branches[0].scaling == "vector"
    assert found_NK == pytest.approx(expected_NK, rel=1e-4, abs=1e-4)
