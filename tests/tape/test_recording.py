"""A recording that is killed goes on where it was, and gives the same tape."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from offramp.errors import TapeError
from offramp.tape.reader import open_tape
from offramp.tape.recording import Recording
from tests.tape.tapes import a_header, record


def finished(path: Path) -> bytes:
    recording = Recording.start(path, a_header())
    record(recording)
    return recording.finish().read_bytes()


def test_killed_and_resumed_it_is_the_same_tape(tmp_path: Path) -> None:
    whole = finished(tmp_path / "whole.tape")
    record(Recording.start(tmp_path / "killed.tape", a_header()), parts=[0])
    resumed = Recording.start(tmp_path / "killed.tape", a_header())
    assert resumed.missing() == [1, 2]
    record(resumed)
    assert resumed.finish().read_bytes() == whole


def test_parts_may_come_in_any_order_from_several_recorders(tmp_path: Path) -> None:
    one, other = (Recording.start(tmp_path / "x.tape", a_header()) for _ in range(2))
    record(other, parts=[2])
    record(one, parts=[1, 0])
    record(other, parts=[1])
    assert other.missing() == []
    assert other.finish().read_bytes() == finished(tmp_path / "y.tape")
    assert (one.missing(), one.finish()) == ([], one.path)


def test_a_process_killed_while_it_writes_loses_at_most_its_part(tmp_path: Path) -> None:
    script = """
import sys
from tests.tape.tapes import a_header, record
from offramp.tape.recording import Recording
recording = Recording.start(sys.argv[1], a_header())
record(recording, parts=[0])
print("one", flush=True)
while True:
    record(recording, parts=[1])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "x.tape")],
        stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONPATH": "."},
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"one\n"
        process.send_signal(signal.SIGKILL)
    recording = Recording.start(tmp_path / "x.tape", a_header())
    assert 0 not in recording.missing()
    record(recording)
    assert recording.finish().read_bytes() == finished(tmp_path / "y.tape")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tape", "y.tape"]


def test_an_unfinished_recording_is_no_tape_yet(tmp_path: Path) -> None:
    recording = Recording.start(tmp_path / "x.tape", a_header())
    record(recording, parts=[1])
    with pytest.raises(TapeError, match="is not finished; run the same recording again"):
        open_tape(tmp_path / "x.tape")
    with pytest.raises(TapeError, match=r"2 of 3 parts of .* such as part 0"):
        recording.finish()


def test_another_recording_is_never_mixed_in(tmp_path: Path) -> None:
    record(Recording.start(tmp_path / "x.tape", a_header()), parts=[0])
    with pytest.raises(TapeError, match=r"another recording .data_digest: bbbb"):
        Recording.start(tmp_path / "x.tape", a_header(data_digest="c" * 64))


def test_a_finished_tape_is_never_overwritten_by_another(tmp_path: Path) -> None:
    whole = finished(tmp_path / "x.tape")
    with pytest.raises(TapeError, match="samples: 25, not 26"):
        Recording.start(tmp_path / "x.tape", a_header(samples=26))
    again = Recording.start(tmp_path / "x.tape", a_header())
    assert again.missing() == []
    assert again.finish().read_bytes() == whole


def test_a_file_that_is_no_tape_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(TapeError, match="is no tape"):
        Recording.start(tmp_path / "thesis.txt", a_header())


def test_killed_between_the_tape_and_its_clean_up_nothing_is_left(tmp_path: Path) -> None:
    finished(tmp_path / "x.tape")
    (tmp_path / "x.tape.parts").mkdir()
    Recording.start(tmp_path / "x.tape", a_header())
    assert [path.name for path in tmp_path.iterdir()] == ["x.tape"]


def test_a_part_that_cannot_be_read_is_recorded_again(tmp_path: Path) -> None:
    recording = Recording.start(tmp_path / "x.tape", a_header())
    record(recording)
    part = recording.folder / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:-100])
    assert recording.missing() == [1]
    record(recording)
    assert recording.finish().read_bytes() == finished(tmp_path / "y.tape")


def test_a_part_with_a_flipped_bit_is_removed_when_the_tape_is_made(tmp_path: Path) -> None:
    recording = Recording.start(tmp_path / "x.tape", a_header())
    record(recording)
    part = recording.folder / "part-00001.parquet"
    content = bytearray(part.read_bytes())
    content[200] ^= 0x10  # in a page: the footer, at the end, stays readable
    part.write_bytes(content)
    with pytest.raises(TapeError, match=r"removed part-00001\.parquet, run the recording again"):
        recording.finish()
    assert not recording.is_finished
    record(recording)
    assert recording.finish().read_bytes() == finished(tmp_path / "y.tape")


def test_a_part_of_another_place_is_recorded_again(tmp_path: Path) -> None:
    recording = Recording.start(tmp_path / "x.tape", a_header())
    record(recording)
    (recording.folder / "part-00002.parquet").write_bytes((recording.folder / "part-00000.parquet").read_bytes())
    assert recording.missing() == [2]


def test_a_tape_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    recording = Recording.start(tmp_path / "x.tape", a_header())
    (recording.folder / "part-00000.parquet").mkdir()
    with pytest.raises(TapeError, match=r"part-00000\.parquet cannot be written"):
        record(recording, parts=[0])
    assert sorted(path.name for path in recording.folder.iterdir()) == ["header.json", "part-00000.parquet"]
