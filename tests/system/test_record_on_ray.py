import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from offramp.bundle.store import Bundle
from offramp.cli import main
from offramp.tape.reader import open_tape
from tests.support.tiny_bundle import CLASSES, LABELS, some_images


def arguments(bundle: Bundle, folder: Path, name: str, *more: str) -> list[str]:
    data = folder / "tiny.npz"
    truth = np.random.default_rng(0).integers(0, CLASSES, 120)
    np.savez(data, x=some_images(120), y=truth, labels=np.array(LABELS))
    flags = ["--data", f"npz:{data}", "--subset", "all", "--codecs", "affine8+zstd", "--no-screen", "--json", *more]
    return ["evaluate", "record", "--bundle", str(bundle.path), "--out", str(folder / name), *flags]


@pytest.mark.system
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_records_what_a_process_records(tiny_bundle: Bundle, tmp_path: Path) -> None:
    assert main(arguments(tiny_bundle, tmp_path, "ray.tape", "--ray")) == 0
    assert main(arguments(tiny_bundle, tmp_path, "processes.tape", "--jobs", "2")) == 0
    assert (tmp_path / "ray.tape").read_bytes() == (tmp_path / "processes.tape").read_bytes()
    assert len(open_tape(tmp_path / "ray.tape")) == 120


def test_without_ray_the_extra_is_named(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # type: ignore[arg-type]
    assert main(arguments(tiny_bundle, tmp_path, "ray.tape", "--ray")) == 1
    assert 'pip install "offramp[orchestrator]"' in capsys.readouterr().err
