import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from offramp.bundle.store import MANIFEST, REFERENCE, WEIGHTS, Bundle, open_bundle, write_manifest
from offramp.cli import DONE, FAILED, WRONG_INPUT, main
from tests.support.shells import run_python


@pytest.fixture
def copy(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle that the test may spoil."""
    return shutil.copytree(tiny_bundle.path, tmp_path / "copy")


def sign(root: Path) -> None:
    """Make the digests right again: what remains wrong is for `verify` to find."""
    write_manifest(root, open_bundle(root, check=False).manifest)


def checks(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, Any]]]:
    code = main(["bundle", "verify", str(root), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is (code == DONE)
    return code, {check["what"]: check for check in document["checks"]}


def failed(found: dict[str, dict[str, Any]]) -> list[str]:
    return [what for what, check in found.items() if not check["passed"]]


def test_show_says_what_the_bundle_is(tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "show", str(tiny_bundle.path)]) == DONE
    page = capsys.readouterr().out
    for said in (
        "image 16x16x3 uint8, 768 B",
        "5: ash, birch, cedar, douglas fir, elm",
        "untrained",
        tiny_bundle.manifest.model_digest,
        "8x16x16 float32",
        "8.19 kB",
        "pool-linear",
        "52.1 %",
        "seeded noise",
    ):
        assert said in page
    assert max(map(len, page.splitlines())) <= 120


def test_show_shortens_a_long_list_of_labels(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = open_bundle(copy).manifest
    write_manifest(copy, replace(manifest, labels=tuple(f"class{index}" for index in range(1000)), final_accuracy=0.5))
    main(["bundle", "show", str(copy)])
    page = capsys.readouterr().out
    assert "1000: class0, class1" in page
    assert "… 990 more" in page
    assert "50.0 % (the whole network" in page


def test_cuts_lists_those_that_were_not_kept_too(tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "cuts", str(tiny_bundle.path)]) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert "8 cuts, 5 kept" in lines[0]
    assert any(line.split()[:2] == ["2", "block1"] for line in lines)
    assert any(line.split()[:1] == ["block1.conv"] for line in lines)


@pytest.mark.parametrize("action", ["show", "cuts"])
def test_programs_read_json(tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str], action: str) -> None:
    assert main(["bundle", action, str(tiny_bundle.path), "--json"]) == DONE
    document = json.loads(capsys.readouterr().out)
    assert document["name"] == "tiny"
    assert [cut["name"] for cut in document["cuts"]][:2] in (["input", "stem"], ["input", "stem.conv"])


def test_a_sound_bundle_verifies(tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = checks(tiny_bundle.path, capsys)
    assert code == DONE
    assert {f"head and tail at split {split} ({name})" for split, name in enumerate(["input", "stem"])} <= set(found)
    assert max(check["difference"] or 0.0 for check in found.values()) < 1e-5


def test_people_read_one_line_a_check(tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    main(["bundle", "verify", str(tiny_bundle.path)])
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in lines[:-1])
    assert lines[-1] == f"{len(lines) - 1} checks passed"


def test_a_corrupt_file_fails_by_its_digest(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / WEIGHTS).write_bytes(b"\0" * 100)
    code, found = checks(copy, capsys)
    assert code == FAILED
    assert "weights.bin is corrupt" in found["digests"]["problem"]


def test_a_wrong_weight_fails_at_every_split_though_its_digest_is_right(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = np.fromfile(copy / WEIGHTS, np.float32)
    weights[3] += 1.0
    weights.tofile(copy / WEIGHTS)
    sign(copy)
    code, found = checks(copy, capsys)
    assert code == FAILED
    assert {f"head and tail at split {split}" for split in range(4)} == {
        what.partition(" (")[0] for what in failed(found) if what.startswith("head")
    }


def test_a_tail_of_another_bundle_fails_at_its_split_alone(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = onnx.load(copy / "graph/2-4.onnx", load_external_data=False)
    for node in model.graph.node:
        if node.op_type == "Relu":
            node.op_type = "Abs"
    onnx.save(model, copy / "graph/2-4.onnx")
    sign(copy)
    code, found = checks(copy, capsys)
    assert (code, failed(found)) == (FAILED, ["head and tail at split 2 (block1)"])


def test_a_branch_whose_scores_are_not_its_own_fails(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = open_bundle(copy).manifest
    branches = (replace(manifest.branches[0], temperature=3.0), *manifest.branches[1:])
    write_manifest(copy, replace(manifest, branches=branches))
    code, found = checks(copy, capsys)
    assert (code, failed(found)) == (FAILED, ["scores of the branch at cut 1 (stem)"])


def test_a_segment_that_does_not_open_is_named(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "graph/1-3.onnx").write_bytes(b"no graph")
    sign(copy)
    code, found = checks(copy, capsys)
    assert (code, failed(found)) == (FAILED, ["segment 1 to 3"])


@pytest.mark.parametrize("missing", [True, False])
def test_without_a_usable_reference_nothing_is_verified(
    copy: Path, capsys: pytest.CaptureFixture[str], missing: bool
) -> None:
    (copy / REFERENCE).unlink()
    if not missing:
        np.savez(copy / REFERENCE, samples=np.zeros((2, 3, 3, 3), np.uint8), logits=np.zeros((2, 5), np.float32))
    sign(copy)
    code, found = checks(copy, capsys)
    assert code == FAILED
    assert [what.partition(" ")[0] for what in failed(found)] == ["reference"]


def test_nan_among_the_answers_is_no_match(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with np.load(copy / REFERENCE) as arrays:
        np.savez(copy / REFERENCE, samples=arrays["samples"], logits=np.full_like(arrays["logits"], np.nan))
    sign(copy)
    code, found = checks(copy, capsys)
    assert code == FAILED
    assert all(found[what]["problem"] == "nan or infinity among the values" for what in failed(found))


def test_what_is_no_bundle_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for action in ("show", "cuts", "verify"):
        assert main(["bundle", action, str(tmp_path / "nowhere")]) == FAILED
        assert "nowhere does not exist" in capsys.readouterr().err
    (tmp_path / MANIFEST).write_text("{")
    assert main(["bundle", "show", str(tmp_path)]) in (FAILED, WRONG_INPUT)
    assert "is not JSON" in capsys.readouterr().err


def test_looking_into_a_bundle_needs_what_a_board_has_and_no_more(tiny_bundle: Bundle) -> None:
    code = """
    import sys
    from offramp.cli import main
    codes = [main(["bundle", action, sys.argv[1]]) for action in ("show", "cuts", "verify")]
    heavy = {"torch", "onnx", "rich", "ray", "sklearn", "google.protobuf"} & set(sys.modules)
    print(codes, heavy or "nothing heavy", file=sys.stderr)
    """
    assert run_python(code, str(tiny_bundle.path)).stderr == "[0, 0, 0] nothing heavy\n"
