"""`offramp device` as a process, without an edge or with a good one: input, output, signals, errors."""

import json
import subprocess
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from offramp.bundle.store import Bundle
from offramp.wire.v1 import local_pb2, local_pb2_grpc
from tests.device.processes import RunningDevice, an_edge, command, run_device
from tests.support.tiny_bundle import LABELS, some_images, write_tiny_bundle

pytestmark = pytest.mark.system

OFFLOAD = "split=2, exit=none, codec=float32"


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("frames") / "frames.npz"
    np.savez(path, x=some_images(40), y=np.arange(40) % 5)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of other sizes in class folders, and a file that is none."""
    root = tmp_path_factory.mktemp("pictures")
    for label, size in zip(LABELS, [(16, 16), (40, 30), (200, 90)], strict=False):
        (root / label).mkdir()
        Image.new("RGB", size, (200, 90, 30)).save(root / label / "one.png")
    (root / LABELS[0] / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return root


def test_device_and_edge_answer_as_the_whole_network_does(tiny_bundle: Bundle, tmp_path: Path) -> None:
    samples, logits_NK = tiny_bundle.reference()
    np.save(tmp_path / "x.npy", samples)
    with an_edge(tiny_bundle.path) as edge:
        done = run_device(
            "--bundle", tiny_bundle.path, "--edge", edge.address, "--source", tmp_path / "x.npy",
            "--plan", OFFLOAD, "--logits",
        )  # fmt: skip
    assert [line["answered"] for line in done.results] == ["edge"] * len(samples)
    by_index = np.array([line["logits"] for line in sorted(done.results, key=lambda line: line["index"])])
    assert np.abs(by_index - logits_NK).max() <= 1e-4 * np.abs(logits_NK).max()


def test_the_summary_counts_what_the_lines_say(tiny_bundle: Bundle, frames: Path) -> None:
    done = run_device("--bundle", tiny_bundle.path, "--source", frames, "--plan", "split=end, exit=confidence:0.6")
    assert done.code == 0
    assert done.summary["samples"] == len(done.results) == 40
    assert done.summary["answered"]["device"] == done.count("device") == 40
    right = sum(line["label"] == line["truth"] for line in done.results)
    assert done.summary["accuracy"] == pytest.approx(right / 40)
    assert "accuracy" in done.said


def test_an_unreadable_file_among_good_ones_is_rejected_with_its_reason(tiny_bundle: Bundle, pictures: Path) -> None:
    done = run_device("--bundle", tiny_bundle.path, "--source", pictures)
    assert (done.code, done.count("device"), done.count("rejected")) == (0, 3, 1)
    rejected = next(line for line in done.results if line["answered"] == "rejected")
    assert "broken.jpg cannot be read as a picture" in rejected["reason"]
    assert sorted(LABELS[line["truth"]] for line in done.results) == sorted([LABELS[0], *LABELS[:3]])


def test_paths_come_on_standard_input(tiny_bundle: Bundle, pictures: Path) -> None:
    paths = f"{pictures / LABELS[1] / 'one.png'}\n{pictures / 'missing.png'}\n"
    done = run_device("--bundle", tiny_bundle.path, "--source", "-", stdin=paths)
    assert (done.count("device"), done.count("rejected")) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--source", "nowhere"], 2, "there is no path or kind of source 'nowhere'"),
        (["--source", "empty"], 2, "holds no picture"),
        (["--source", "-"], 2, "gave no sample at all"),
        (["--source", "camera-digits", "--plan", "split=9"], 2, "cut 9 is past the end"),
        (["--source", "camera-digits", "--plan", "split=2, exit=confidence:1.5"], 2, "out of range"),
        (["--source", "camera-digits", "--plan", "split=2, codec=affine9"], 2, "affine8"),
        (["--source", "camera-digits", "--plan", "split=2, exit=confidense:0.5"], 2, "confidence"),
        (["--source", "camera-digits", "--edge", "nobody"], 2, "HOST:PORT"),
        (["--source", "camera-digits", "--edge", "127.0.0.1:1", "--tls-ca", "missing.pem"], 2, "missing.pem"),
        (["--source", "listen:0.0.0.0:7000"], 2, "can be reached from other machines"),
        (["--source", "camera-digits", "--rate", "0"], 2, "rate is 0"),
        (["--source", "camera-digits", "--slowdown", "0.5"], 2, "slowdown is 0.5"),
        (["--source", "camera-digits", "--out", "missing/results.jsonl"], 2, "cannot be written"),
        ([], 2, "give --source"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_clear_line(
    arguments: list[str], code: int, message: str, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        command("device", "--bundle", tiny_bundle.path, "--threads", 1, *arguments),
        capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_corrupt_bundle_is_refused_before_anything_runs(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    weights = tmp_path / "bundle" / "graph" / "weights.bin"
    damaged = bytearray(weights.read_bytes())
    damaged[100] ^= 1
    weights.write_bytes(damaged)
    done = run_device("--bundle", bundle.path, "--source", "camera-digits")
    assert (done.code, done.results) == (1, [])
    assert "weights.bin is corrupt" in done.said


@pytest.mark.parametrize(("how", "code"), [("interrupt", 130), ("terminate", 0)])
def test_a_signal_in_mid_stream_ends_it_with_a_result_for_every_sample(
    how: str, code: int, tiny_bundle: Bundle
) -> None:
    with an_edge(tiny_bundle.path) as edge:
        device = RunningDevice(
            "--bundle", tiny_bundle.path, "--edge", edge.address, "--source", "camera-digits", "--rate", 50,
            "--plan", OFFLOAD,
        )  # fmt: skip
        for _ in range(20):
            device.line()
        getattr(device, how)()
        done = device.finish()
    assert done.code == code
    indices = sorted(line["index"] for line in done.results)
    assert indices == list(range(len(indices)))
    assert done.summary["samples"] == len(indices)
    assert "Traceback" not in done.said


def test_a_reader_who_leaves_ends_it_quietly(tiny_bundle: Bundle) -> None:
    device = RunningDevice("--bundle", tiny_bundle.path, "--source", "camera-digits", "--rate", 100)
    device.line()
    assert device.process.stdout is not None
    device.process.stdout.close()
    device.process.stdout = None
    done = device.finish()
    assert done.code == 1
    assert "Traceback" not in done.said


def test_a_full_disk_is_one_clear_line(tiny_bundle: Bundle, frames: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = run_device("--bundle", tiny_bundle.path, "--source", frames, "--out", "/dev/full")
    assert done.code == 1
    assert "No space left" in done.said
    assert "Traceback" not in done.said


def test_local_programs_submit_samples_and_plans(tiny_bundle: Bundle, pictures: Path, tmp_path: Path) -> None:
    image = (pictures / LABELS[1] / "one.png").read_bytes()
    device = RunningDevice("--bundle", tiny_bundle.path, "--source", f"listen:unix:{tmp_path / 'device.sock'}")
    ready = device.line()
    with grpc.insecure_channel(ready["local"]) as channel:
        stub = local_pb2_grpc.LocalStub(channel)
        first = stub.Submit(local_pb2.SubmitRequest(image=image))
        adopted = stub.Adopt(local_pb2.AdoptRequest(plan="split=end", epoch=1, counter=1))
        raw = some_images(1)[0].tobytes()
        second = stub.Submit(local_pb2.SubmitRequest(stream="mine", raw=raw))
        with pytest.raises(grpc.RpcError) as short:
            stub.Submit(local_pb2.SubmitRequest(raw=raw[:-1]))
        with pytest.raises(grpc.RpcError) as stale:
            stub.Adopt(local_pb2.AdoptRequest(plan="split=end", epoch=0, counter=9))
    device.terminate()
    done = device.finish()
    assert (first.answered, first.revision) == ("device", "0.0")
    assert (adopted.plan, adopted.epoch) == ("split=4, exit=none, codec=none", 1)
    assert (second.stream, second.exit, second.revision, second.label_name) == (
        "mine", 4, "1.1", LABELS[second.label],
    )  # fmt: skip
    assert short.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "767 bytes came; submit raw, 768 bytes" in (short.value.details() or "")
    assert "plan 0.9 is older than 1.1" in (stale.value.details() or "")
    assert [line["stream"] for line in done.results][1] == "mine"
    assert done.code == 0


def test_the_process_has_neither_torch_nor_ray_nor_scikit_learn(tiny_bundle: Bundle) -> None:
    script = (
        "import sys; from offramp.cli import main; code = main(sys.argv[1:]); "
        "found = {'torch', 'ray', 'sklearn', 'scipy', 'pandas', 'rich'} & set(sys.modules); "
        "sys.exit(f'imported: {found}' if found or code else 0)"
    )
    with an_edge(tiny_bundle.path) as edge:
        arguments = ["--bundle", str(tiny_bundle.path), "--edge", edge.address, "--source", "camera-digits"]
        done = subprocess.run(
            [sys.executable, "-c", script, "device", *arguments, "--limit", "5", "--threads", "1"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["index"] == 0
