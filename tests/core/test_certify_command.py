"""`offramp bundle certify` and `calibration`, as a user runs them, on a bundle that nobody trained."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from offramp.bundle.store import Bundle, open_bundle, write_manifest
from offramp.cli import DONE, FAILED, WRONG_INPUT, main
from offramp.data import load
from offramp.errors import BundleError
from offramp.exits.certificate import FILE, read_certificate
from offramp.runtime.onnx_backend import OnnxRuntime
from tests.support.tiny_bundle import LABELS, some_images, write_tiny_bundle

COUNT = 6_000


@pytest.fixture(scope="module")
def data(tiny_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Images whose truth is what the whole network says of them, in eight of ten."""
    images = some_images(COUNT, seed=5)
    with OnnxRuntime(tiny_bundle) as runtime:
        logits_NK = runtime.open(0, tiny_bundle.manifest.end, branch=False).run((images,)).logits_NK
    assert logits_NK is not None
    rng = np.random.default_rng(0)
    truth_N = np.where(rng.random(COUNT) < 0.8, logits_NK.argmax(axis=1), rng.integers(0, len(LABELS), COUNT))
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, x=images, y=truth_N, labels=np.array(LABELS))
    return f"npz:{path}"


@pytest.fixture
def bundle(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A copy that may be written into."""
    return shutil.copytree(tiny_bundle.path, tmp_path / "tiny")


def certify(bundle: Path, data: str, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    code = main(["bundle", "certify", str(bundle), "--data", data, "--json", *flags])
    captured = capsys.readouterr()
    assert code == DONE, captured.err
    document: dict[str, Any] = json.loads(captured.out)
    return document


def test_a_certificate_lies_in_the_bundle_and_leaves_the_model_what_it_was(
    bundle: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = open_bundle(bundle).manifest.model_digest
    said = certify(bundle, data, capsys, "--disagreement", "40%")
    opened = open_bundle(bundle)
    assert opened.manifest.model_digest == before
    certificate = read_certificate(opened)
    assert certificate is not None
    assert certificate.rule == said["rule"]
    assert certificate.leave == said["leave"] > 0
    assert certificate.looked_at == "the bundle does not say what it was trained on"


def test_show_says_what_is_certified(bundle: Path, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = certify(bundle, data, capsys, "--drop", "30%", "--confidence", "90%")
    main(["bundle", "show", str(bundle)])
    page = capsys.readouterr().out
    assert "accuracy lost against the whole network: at most 30 %, with 90 % confidence" in page
    assert said["rule"] in page
    main(["bundle", "show", str(bundle), "--json"])
    assert json.loads(capsys.readouterr().out)["certificate"] == said


def test_a_certificate_of_another_model_is_refused(
    bundle: Path, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certify(bundle, data, capsys, "--disagreement", "40%")
    other = write_tiny_bundle(tmp_path / "other", seed=3)
    shutil.copy(bundle / FILE, other.path / FILE)
    write_manifest(other.path, other.manifest)
    with pytest.raises(BundleError, match="is of another model"):
        read_certificate(open_bundle(other.path))
    assert main(["bundle", "show", str(other.path)]) == DONE
    assert "is of another model" in capsys.readouterr().out


def test_a_dry_run_writes_nothing(bundle: Path, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    certify(bundle, data, capsys, "--disagreement", "40%", "--dry-run")
    assert not (bundle / FILE).exists()


def test_branches_and_policy_are_those_asked_for(bundle: Path, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = certify(bundle, data, capsys, "--disagreement", "50%", "--policy", "margin", "--branches", "2")
    assert said["rule"].startswith("margin:")
    assert said["rule"].endswith("@2")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "nothing is promised; give --drop 1%"),
        (["--drop", "1%", "--brier", "1%"], "keep one of them"),
        (["--drop", "1%"], "samples come from --data"),
        (["--drop", "1%", "--data", "npz:nowhere.npz"], "nowhere.npz"),
        (["--drop", "0.5%", "--method", "ltt"], "too few for this promise"),
        (["--drop", "1%", "--method", "ltp"], "did you mean 'ltt'"),
        (["--drop", "1%", "--policy", "confidenc"], "did you mean 'confidence'"),
        (["--drop", "1%", "--branches", "3"], "there is no branch at cut 3"),
    ],
)
def test_what_cannot_be_certified_is_explained(
    bundle: Path, data: str, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    with_data = ["--data", data] if len(flags) > 1 and "--data" not in flags and said[:7] != "samples" else []
    assert main(["bundle", "certify", str(bundle), *with_data, *flags]) == WRONG_INPUT
    assert said in capsys.readouterr().err


def test_data_dealt_out_otherwise_than_at_the_build_are_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "free.npz"
    np.savez(path, x=some_images(100), y=np.arange(100) % 5, labels=np.array(LABELS))
    manifest = open_bundle(bundle).manifest
    there = {"data_sha256": load(f"npz:{path}").digest, "split": "40 train, 5 calibration, 5 test", "seed": "0"}
    write_manifest(bundle, replace(manifest, provenance=there))
    assert main(["bundle", "certify", str(bundle), "--data", f"npz:{path}", "--drop", "1%"]) == WRONG_INPUT
    assert "was dealt out otherwise at the build" in capsys.readouterr().err


def test_a_broken_certificate_is_named(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / FILE).write_text("{")
    write_manifest(bundle, open_bundle(bundle, check=False).manifest)
    assert main(["bundle", "show", str(bundle), "--json"]) == FAILED
    assert "certify the bundle again" in capsys.readouterr().err


def test_calibration_says_how_far_exits_are_off_and_draws_it(
    bundle: Path, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tmp_path / "figure.svg"
    flags = ["--data", data, "--figure", str(figure)]
    assert main(["bundle", "calibration", str(bundle), *flags]) == DONE
    page = capsys.readouterr().out
    assert [name for name in ("stem", "block1", "the end") if f"{name}, calibrated\n" not in page] == []
    assert ElementTree.fromstring(figure.read_text(encoding="utf-8")).tag.endswith("svg")
    assert main(["bundle", "calibration", str(bundle), *flags, "--json"]) == DONE
    document = json.loads(capsys.readouterr().out)
    assert [one["cut"] for one in document["exits"]] == [1, 2, 4]
    assert 200 < document["samples"] < 400  # half of a tenth
