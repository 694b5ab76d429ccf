"""What is recorded is what is read, and what cannot be read says why."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pyarrow import parquet as pq

from offramp.errors import MissingExtraError, TapeError
from offramp.tape.columns import columns_of
from offramp.tape.header import CodecEntry, TapeHeader, default_top_k, header_from_json, header_to_json
from offramp.tape.reader import Tape, open_tape
from offramp.tape.recording import Recording
from offramp.tape.rows import TapeRows, encode, top_classes
from tests.tape.tapes import a_header, all_rows, part_of, record


def a_tape(folder: Path, header: TapeHeader | None = None) -> Tape:
    recording = Recording.start(folder / "noise.tape", header or a_header())
    record(recording)
    return open_tape(recording.finish())


# ── what is recorded is what is read ──


@pytest.mark.parametrize("samples", [1, 10, 25, 30])
@pytest.mark.parametrize("tail_scores", [False, True])
def test_every_column_reads_back_to_the_bit(tmp_path: Path, samples: int, tail_scores: bool) -> None:
    header = a_header(samples=samples, tail_scores=tail_scores)
    tape, rows = a_tape(tmp_path, header), all_rows(header)
    assert len(tape) == samples
    for name in ("id", "index", "group", "truth", "stream", "subset"):
        assert getattr(tape, f"{name}_N").tolist() == getattr(rows, name).tolist(), name
    for name in header.voices:
        voice = tape.voice(name)
        assert np.array_equal(voice.logits_Nk, rows.logits[name])
        assert voice.classes_Nk is None
        assert voice.label_N.tolist() == rows.logits[name].argmax(axis=1).tolist()
        if name in rows.scores:
            assert np.array_equal(voice.scores_NS, rows.scores[name])
        else:
            assert voice.scores_NS is None
    for (split, codec), nbytes in rows.payload_bytes.items():
        assert tape.payload_bytes(split, codec).tolist() == nbytes.tolist()


def test_with_many_classes_the_best_are_kept_in_half_precision(tmp_path: Path) -> None:
    header = a_header(classes=300, top_k=default_top_k(300), tail_scores=True)
    tape, rows = a_tape(tmp_path, header), all_rows(header)
    for name in header.voices:
        voice, logits_NK = tape.voice(name), rows.logits[name]
        assert (voice.logits_Nk.dtype, voice.logits_Nk.shape) == (np.float16, (25, 10))
        assert voice.label_N.tolist() == logits_NK.argmax(axis=1).tolist()
        best_Nk = np.sort(logits_NK, axis=1)[:, :-11:-1]
        assert np.array_equal(voice.logits_Nk, best_Nk.astype(np.float16))
        assert np.array_equal(np.take_along_axis(logits_NK, voice.classes_Nk.astype(int), axis=1), best_Nk)


def test_a_hundred_classes_are_kept_whole() -> None:
    assert (default_top_k(100), default_top_k(101)) == (0, 10)


def test_a_label_is_exact_where_half_precision_is_not(tmp_path: Path) -> None:
    header = a_header(samples=1, classes=300, top_k=2, tails=(), codecs=(), branches=())
    logits_NK = np.zeros((1, 300), dtype=np.float32)
    logits_NK[0, [7, 3]] = 70000.5, 70000.0  # equal, and past the end, in float16
    recording = Recording.start(tmp_path / "one.tape", header)
    recording.write(0, replace_rows(all_rows(header), logits={"final": logits_NK}))
    voice = open_tape(recording.finish()).final()
    assert voice.classes_Nk.tolist() == [[7, 3]]
    assert voice.logits_Nk.tolist() == [[65504.0, 65504.0]]


def replace_rows(rows: TapeRows, **changes: object) -> TapeRows:
    return replace(rows, **changes)  # type: ignore[arg-type]


@given(
    logits=arrays.arrays(
        np.float32, st.tuples(st.integers(1, 5), st.integers(4, 12)), elements=st.sampled_from([-1, 0, 1, 2])
    ),
    kept=st.integers(1, 4),
)
def test_top_classes_are_those_of_a_stable_sort(logits: np.ndarray, kept: int) -> None:
    expected = np.argsort(-logits, axis=1, kind="stable")[:, :kept]
    assert top_classes(logits, kept).tolist() == expected.tolist()


def test_codecs_that_differ_in_nothing_lossy_share_their_answer(tmp_path: Path) -> None:
    tape = a_tape(tmp_path)
    assert tape.answer(3, "affine8").name == tape.answer(3, "affine8+zstd").name == "tail/3/affine8"
    assert tape.answer(0, "png").name == tape.final().name == "final"
    assert tape.branch(2).name == "branch/2"


def test_arrays_are_shared_and_cannot_be_written(tmp_path: Path) -> None:
    tape = a_tape(tmp_path)
    assert tape.final().logits_Nk is tape.answer(0, "png").logits_Nk
    for array in (tape.final().logits_Nk, tape.final().scores_NS, tape.truth_N, tape.stream_N):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]


def test_a_subset_that_lies_together_is_a_slice(tmp_path: Path) -> None:
    tape = a_tape(tmp_path)
    assert tape.rows("calibration") == slice(0, 12)
    assert tape.rows("test") == slice(12, 25)
    with pytest.raises(TapeError, match=r"there is no subset 'train'.*known: calibration, test"):
        tape.rows("train")


def test_a_scattered_subset_is_its_rows(tmp_path: Path) -> None:
    header = a_header(samples=4, part_rows=4)
    recording = Recording.start(tmp_path / "x.tape", header)
    recording.write(0, replace_rows(all_rows(header), subset=np.array(["test", "train", "test", "train"])))
    assert open_tape(recording.finish()).rows("train").tolist() == [1, 3]  # type: ignore[union-attr]


def test_a_codec_with_a_dot_is_not_mistaken_for_another(tmp_path: Path) -> None:
    codecs = tuple(CodecEntry(split=3, codec=name, voice="final") for name in ("narrow:0.5", "narrow:0", "narrow"))
    header = a_header(codecs=codecs)
    tape, rows = a_tape(tmp_path, header), all_rows(header)
    for entry in codecs:
        found = tape.payload_bytes(3, entry.codec)
        assert found.tolist() == rows.payload_bytes[3, entry.codec].tolist()


def test_any_parquet_reader_can_read_a_tape(tmp_path: Path) -> None:
    tape = a_tape(tmp_path)
    table = pq.read_table(tape.path)
    assert table.column_names == [column.name for column in columns_of(tape.header)]
    assert table.column("final/logits").to_pylist() == tape.final().logits_Nk.tolist()
    assert table.schema.field("bytes/0/png").type == pa.uint32()


def test_a_tape_is_named_by_its_digest(tmp_path: Path) -> None:
    tape = a_tape(tmp_path)
    assert tape.digest() == hashlib.sha256(tape.path.read_bytes()).hexdigest()


def test_the_example_in_the_documentation_replays_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = (Path(__file__).parents[2] / "docs" / "tape.md").read_text().split("```python\n")[1].split("```")[0]
    a_tape(tmp_path).path.rename(tmp_path / "resnet20.tape")
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(example.replace("0.9  ", "0.4  "), found)  # some leave, some do not
    rows, test = all_rows(a_header()), slice(12, 25)
    leaves = rows.scores["branch/2"][test, 0] >= 0.4
    said = np.where(leaves, rows.logits["branch/2"][test].argmax(1), rows.logits["tail/3/affine8"][test].argmax(1))
    assert 0 < leaves.sum() < len(leaves)
    assert found["accuracy"] == (said == rows.truth[test]).mean()
    assert found["sent"].tolist() == rows.payload_bytes[3, "affine8+zstd"][test][~leaves].tolist()


# ── the header ──


def test_a_header_reads_back() -> None:
    header = a_header()
    assert header_from_json(header_to_json(header), "here") == header


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 2}, "format 2 is not 1"),
        ({"samples": 0}, "samples = 0"),
        ({"top_k": 6}, "top 6 of 5"),
        ({"branches": (1, 1)}, "branch/1 is given twice"),
        ({"codecs": (CodecEntry(split=3, codec="affine8", voice="tail/3/afine8"),)}, "did you mean 'tail/3/affine8'"),
    ],
)
def test_a_header_that_cannot_be_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(TapeError, match=says):
        a_header(**changes)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1}', "null", header_to_json(a_header()).replace("25", '"x"')]
)
def test_a_header_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(TapeError, match="here"):
        header_from_json(text, "here")


# ── what cannot be stored ──


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda rows: rows.logits.pop("final"), r"voices with logits .* missing \['final'\]"),
        (lambda rows: rows.scores.update({"tail/3/affine8": 0}), r"not promised \['tail/3/affine8'\]"),
        (lambda rows: rows.payload_bytes.pop((0, "png")), "codecs"),
        (lambda rows: rows.logits.update(final=np.zeros((25, 4))), r"shape \(25, 4\), expected \(25, 5\)"),
        (lambda rows: rows.logits["final"].__setitem__((3, 2), np.nan), "logits of final are not finite in row 3"),
        (lambda rows: rows.payload_bytes.update({(0, "png"): np.full(25, -1)}), "bytes/0/png"),
        (lambda rows: rows.payload_bytes.update({(0, "png"): np.full(25, 0.5)}), "float64"),
        (lambda rows: rows.payload_bytes.update({(0, "png"): np.zeros(3, int)}), "3 rows, expected 25"),
        (lambda rows: setattr(rows, "subset", np.full(25, "tset")), "subset 'tset'; known: train, calibration, test"),
    ],
)
def test_rows_that_break_the_headers_promise_are_refused(spoil: object, says: str) -> None:
    rows = all_rows(a_header())
    spoil(rows)  # type: ignore[operator]
    with pytest.raises(TapeError, match=says):
        encode(rows, a_header(), 25)


# ── what cannot be read ──


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = a_tape(tmp_path).path
    content = bytearray(path.read_bytes())
    where = pq.ParquetFile(path).metadata.row_group(1).column(8).data_page_offset + 60
    content[where] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(TapeError, match=r"noise\.tape is no tape, or a corrupt one"):
        open_tape(path).verify()


def test_a_sound_tape_verifies(tmp_path: Path) -> None:
    tape = a_tape(tmp_path)
    content = tape.path.read_bytes()
    tape.verify()
    assert tape.path.read_bytes() == content


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_tape_is_refused(tmp_path: Path, share: float) -> None:
    path = a_tape(tmp_path).path
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(TapeError, match="corrupt"):
        open_tape(path)


def test_another_parquet_file_is_no_tape(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(TapeError, match="is a Parquet file but no tape"):
        open_tape(tmp_path / "x.parquet")


def test_a_tape_with_other_columns_than_its_header_is_refused(tmp_path: Path) -> None:
    path = a_tape(tmp_path).path
    pq.write_table(pq.read_table(path).drop_columns(["truth"]), path)
    with pytest.raises(TapeError, match="columns where its header says"):
        open_tape(path)


def test_a_tape_with_other_rows_than_its_header_is_refused(tmp_path: Path) -> None:
    path = a_tape(tmp_path).path
    pq.write_table(pq.read_table(path).slice(0, 20), path)
    with pytest.raises(TapeError, match=r"20 rows and .* where its header says 25"):
        open_tape(path)


def test_a_missing_tape_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match=r"there is no tape at .*gone"):
        open_tape(tmp_path / "gone")
    with pytest.raises(TapeError, match="is no tape"):
        open_tape(tmp_path)


def test_what_was_not_recorded_lists_what_was(tmp_path: Path) -> None:
    tape = a_tape(tmp_path)
    with pytest.raises(TapeError, match=r"codec recorded at split 3 'affine9'; did you mean 'affine8'"):
        tape.answer(3, "affine9")
    with pytest.raises(TapeError, match="nothing recorded at split 2; recorded: 0, 3"):
        tape.payload_bytes(2, "affine8")
    with pytest.raises(TapeError, match="there is no voice 'branch/3'"):
        tape.branch(3)


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "offramp\[evaluation\]"'):
        open_tape(tmp_path / "x.tape")


def test_parts_make_the_whole() -> None:
    header = a_header()
    rows = all_rows(header)
    pieces = [part_of(rows, header, part).id for part in range(header.parts)]
    assert np.concatenate(pieces).tolist() == rows.id.tolist()
    assert [len(piece) for piece in pieces] == [10, 10, 5]
    with pytest.raises(IndexError):
        header.part_range(3)
