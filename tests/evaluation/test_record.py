"""Recording a real bundle: the same tape whoever runs it, however often it was killed."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.bundle.manifest import SCORES
from offramp.bundle.store import Bundle, open_bundle
from offramp.cli import main
from offramp.codecs.usual import known_codecs
from offramp.data import DataSet, load
from offramp.errors import OfframpError, TapeError
from offramp.planning.candidates import read_candidates
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.tape.header import FINAL
from offramp.tape.reader import Tape, open_tape
from offramp_evaluation.recording.processes import Processes
from offramp_evaluation.recording.record import Order, parts_on_disk, record
from offramp_evaluation.recording.selection import select
from offramp_evaluation.recording.workers import Advanced, Done, Here, Task, Workers
from tests.support.tiny_bundle import CLASSES, LABELS, some_images, write_tiny_bundle

SAMPLES = 400
CODECS = {split: ["affine8", "affine8+zstd", "float32+zstd"] if split else ["raw", "jpeg:50"] for split in range(4)}


class Silent:
    def begin(self, what: str, done: int, total: int) -> None: ...

    def advance(self, samples: int) -> None: ...


class Interrupted:
    """Workers that are stopped after some tasks."""

    def __init__(self, workers: Workers, after: int) -> None:
        self._workers, self._after = workers, after

    def run(self, tasks: Iterable[Task]) -> Iterator[Advanced | Done]:
        for event in self._workers.run(tasks):
            yield event
            if isinstance(event, Done):
                self._after -= 1
                if not self._after:
                    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return load(f"npz:{write_data(tmp_path_factory.mktemp('data') / 'tiny.npz')}")


def write_data(path: Path) -> Path:
    truth = np.random.default_rng(0).integers(0, CLASSES, SAMPLES)
    np.savez(path, x=some_images(SAMPLES), y=truth, labels=np.array(LABELS), group=np.arange(SAMPLES) // 4)
    return path


def an_order(bundle: Bundle, data: DataSet, out: Path, **changes: object) -> Order:
    order = Order(
        bundle=bundle,
        selection=select(data, bundle.manifest, ("train", "calibration", "test")),
        codecs=CODECS,
        out=out,
        code="a test",
        provenance={"machine": "a test"},
    )
    return replace(order, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tape(tiny_bundle: Bundle, data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Tape:
    out = tmp_path_factory.mktemp("tape") / "whole.tape"
    record(an_order(tiny_bundle, data, out), Here(tiny_bundle), Silent())
    return open_tape(out)


def test_a_recording_that_was_stopped_half_way_gives_the_same_tape(
    tiny_bundle: Bundle, data: DataSet, tape: Tape, tmp_path: Path
) -> None:
    order = an_order(tiny_bundle, data, tmp_path / "resumed.tape")
    with pytest.raises(KeyboardInterrupt):
        record(order, Interrupted(Here(tiny_bundle), after=2), Silent())  # type: ignore[arg-type]
    assert parts_on_disk(order.out) == 2
    record(order, Here(tiny_bundle), Silent())
    assert order.out.read_bytes() == tape.path.read_bytes()


def test_what_was_recorded_before_is_not_run_again(tiny_bundle: Bundle, data: DataSet, tmp_path: Path) -> None:
    order = an_order(tiny_bundle, data, tmp_path / "resumed.tape")
    with pytest.raises(KeyboardInterrupt):
        record(order, Interrupted(Here(tiny_bundle), after=3), Silent())  # type: ignore[arg-type]
    told = Told()
    record(order, Here(tiny_bundle), told)
    assert told.begun == [("recording", 300, SAMPLES)]
    assert told.advanced == 100


class Told:
    def __init__(self) -> None:
        self.begun: list[tuple[str, int, int]] = []
        self.advanced = 0

    def begin(self, what: str, done: int, total: int) -> None:
        self.begun.append((what, done, total))

    def advance(self, samples: int) -> None:
        self.advanced += samples


def test_several_processes_record_what_one_records(
    tiny_bundle: Bundle, data: DataSet, tape: Tape, tmp_path: Path
) -> None:
    # Here the test's process has a pool of its own size: only what it computes is compared, to the last bits.
    order = an_order(tiny_bundle, data, tmp_path / "spread.tape")
    with Processes(tiny_bundle, 2) as workers:
        record(order, workers, Silent())
    spread = open_tape(order.out)
    assert spread.header == tape.header
    for voice in tape.header.voices:
        np.testing.assert_allclose(spread.voice(voice).logits_Nk, tape.voice(voice).logits_Nk, rtol=1e-4, atol=1e-4)


def test_a_process_that_dies_ends_the_recording_with_the_way_out(tiny_bundle: Bundle, tmp_path: Path) -> None:
    with Processes(tiny_bundle, 1) as workers:
        workers._workers[0].process.kill()
        with pytest.raises(OfframpError, match="died .* run the same command again"):
            list(workers.run([Task(number=0, codecs=((1, ("affine8",)),), samples=some_images(2))]))


def test_what_a_process_cannot_do_is_said_here(tiny_bundle: Bundle) -> None:
    with Processes(tiny_bundle, 1) as workers, pytest.raises(OfframpError, match="codec .*'afine8'"):
        list(workers.run([Task(number=0, codecs=((1, ("afine8",)),), samples=some_images(2))]))


def test_another_recording_at_the_same_place_is_refused(tiny_bundle: Bundle, data: DataSet, tape: Tape) -> None:
    order = an_order(tiny_bundle, data, tape.path, provenance={"machine": "another"})
    with pytest.raises(TapeError, match="machine: a test, not another"):
        record(order, Here(tiny_bundle), Silent())


def test_other_codecs_at_the_same_place_are_refused(tiny_bundle: Bundle, data: DataSet, tape: Tape) -> None:
    order = an_order(tiny_bundle, data, tape.path, codecs={1: ["affine8"]})
    with pytest.raises(TapeError, match="codecs: "):
        record(order, Here(tiny_bundle), Silent())


def test_rows_carry_what_is_known_of_each_sample(data: DataSet, tape: Tape) -> None:
    assert sorted(tape.id_N.tolist()) == list(range(SAMPLES))
    np.testing.assert_array_equal(tape.truth_N, data.truth_N[tape.id_N])
    np.testing.assert_array_equal(tape.group_N, data.group_N[tape.id_N])


def test_each_subset_lies_together_and_is_a_stream(tape: Tape) -> None:
    for subset in ("train", "calibration", "test"):
        rows = tape.rows(subset)
        assert isinstance(rows, slice)
        assert tape.index_N[rows].tolist() == list(range(rows.stop - rows.start))
        assert len(set(tape.stream_N[rows].tolist())) == 1


def test_codecs_that_lose_nothing_lead_to_the_whole_network(tape: Tape) -> None:
    voices = {(entry.split, entry.codec): entry.voice for entry in tape.header.codecs}
    assert voices[0, "raw"] == voices[2, "float32+zstd"] == FINAL
    assert voices[2, "affine8"] == voices[2, "affine8+zstd"] == "tail/2/affine8"
    assert voices[0, "jpeg:50"] == "tail/0/jpeg:50"


def test_every_row_holds_what_the_bundle_says_of_its_sample(tiny_bundle: Bundle, data: DataSet, tape: Tape) -> None:
    outputs = OnnxRuntime(tiny_bundle).open(0, 2, branch=True).run((data.samples[tape.id_N],))
    np.testing.assert_allclose(tape.branch(2).logits_Nk, outputs.logits_NK, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(tape.branch(2).scores_NS, outputs.scores_NS, rtol=1e-4, atol=1e-4)
    assert tape.header.scores == SCORES


def test_a_screened_recording_goes_on_without_screening_again(
    tiny_bundle: Bundle, data: DataSet, tmp_path: Path
) -> None:
    screening = select(data, tiny_bundle.manifest, ("calibration",), limit=16)
    # Nearly the same pictures in many more bytes: on so few samples, one of them never wins.
    codecs = {0: ["jpeg:100", "jpeg:95", "jpeg:90"]}
    orders = [
        an_order(tiny_bundle, data, tmp_path / name, screening=screening, codecs=codecs)
        for name in ("whole", "resumed")
    ]
    header = record(orders[0], Here(tiny_bundle), Silent())
    assert len(header.codecs) < 3
    assert "never better than" in header.provenance["dropped"]
    with pytest.raises(KeyboardInterrupt):
        record(orders[1], Interrupted(Here(tiny_bundle), after=2), Silent())  # type: ignore[arg-type]
    told = Told()
    record(orders[1], Here(tiny_bundle), told)
    assert [what for what, _, _ in told.begun] == ["recording"]
    assert orders[0].out.read_bytes() == orders[1].out.read_bytes()


def test_every_known_codec_can_be_recorded(tiny_bundle: Bundle, data: DataSet, tmp_path: Path) -> None:
    few = select(data, tiny_bundle.manifest, ("test",), limit=8)
    known = known_codecs(tiny_bundle.manifest)
    order = an_order(tiny_bundle, data, tmp_path / "all.tape", selection=few, codecs=known)
    header = record(order, Here(tiny_bundle), Silent())
    assert {(entry.split, entry.codec) for entry in header.codecs} == {
        (split, name) for split, names in known.items() for name in names
    }


# The command, killed as a machine would be: a process of its own.

COMMAND = "import sys; from offramp.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_the_command_goes_on_where_it_was_stopped(tiny_bundle: Bundle, tmp_path: Path, blow: signal.Signals) -> None:
    spec = f"npz:{write_data(tmp_path / 'tiny.npz')}"
    common = ["evaluate", "record", "--bundle", str(tiny_bundle.path), "--data", spec, "--subset", "all", "--jobs", "1"]
    common += ["--codecs", "affine8+zstd,jpeg:50,webp:80", "--no-screen"]
    whole, resumed = tmp_path / "whole.tape", tmp_path / "resumed.tape"
    subprocess.run([sys.executable, "-c", COMMAND, *common, "--out", str(whole)], check=True, timeout=60)
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *common, "--out", str(resumed)], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("recording"):
                break
        process.send_signal(blow)
        said = process.stderr.read()
    assert process.returncode == (130 if blow is signal.SIGINT else -blow)
    assert ("goes on there" in said) is (blow is signal.SIGINT)
    assert not resumed.exists()
    subprocess.run([sys.executable, "-c", COMMAND, *common, "--out", str(resumed)], check=True, timeout=60)
    assert resumed.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--subset", "tests"], "did you mean 'test'?"),
        (["--codecs", "afine8"], "did you mean 'affine8'?"),
        (["--limit", "0"], "--limit 0"),
        (["--jobs", "0"], "--jobs 0"),
        (["--bundle", "nowhere"], "nowhere does not exist"),
    ],
)
def test_bad_flags_are_told(
    flags: list[str], message: str, tiny_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--bundle", str(tiny_bundle.path), "--data", f"npz:{write_data(tmp_path / 'tiny.npz')}"]
    assert main(["evaluate", "record", *given, "--out", str(tmp_path / "a.tape"), *flags]) in (1, 2)
    assert message in capsys.readouterr().err


def test_a_bundle_of_ones_own_needs_its_data(
    tiny_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "a.tape")
    assert main(["evaluate", "record", "--bundle", str(tiny_bundle.path), "--out", out]) == 2
    assert "needs its --data" in capsys.readouterr().err


def test_candidates_are_attached_from_a_tape(
    tiny_bundle: Bundle, tape: Tape, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.path, copy)
    assert main(["evaluate", "candidates", "--bundle", str(copy), "--tape", str(tape.path), "--json"]) == 0
    attached = read_candidates(open_bundle(copy))
    assert json.loads(capsys.readouterr().out)["candidates"] == len(attached.candidates) > 0
    assert attached.samples == len(tape.truth_N[tape.rows("calibration")])
    assert attached.model_digest == tiny_bundle.manifest.model_digest


def test_candidates_from_the_tape_of_another_bundle_are_refused(
    tape: Tape, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_tiny_bundle(tmp_path / "other", seed=3)
    assert main(["evaluate", "candidates", "--bundle", str(other.path), "--tape", str(tape.path)]) == 1
    assert "record one of this bundle" in capsys.readouterr().err
